#pragma once

#include <string>
#include <string_view>

/// Files and folders that tests make and that are gone afterwards.
namespace sallyport::tests {

/// A folder of its own under SALLYPORT_TEST_ROOT (default /tmp), removed with everything in it.
/// Shape:  mode 0711, so that a server that runs as another user can reach a folder inside.
class temp_dir {
  public:
    explicit temp_dir(std::string_view prefix = "sallyport-test");
    ~temp_dir();
    temp_dir(const temp_dir&) = delete;
    temp_dir& operator=(const temp_dir&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string file(std::string_view name) const;

  private:
    std::string path_;
};

/// Writes the whole file, replacing it. Errors: throws std::runtime_error naming the path.
void write_file(const std::string& path, std::string_view content, unsigned mode = 0600);
/// Errors: throws std::runtime_error naming the path.
[[nodiscard]] std::string read_file(const std::string& path);
/// "" when there is none.
[[nodiscard]] std::string environment(const char* name);

/// The operating system user that PostgreSQL runs as: "postgres" when the tests run as root, else
/// "".
[[nodiscard]] std::string server_user();
/// Gives a file or folder to `user`; nothing happens for "".
void give_to(const std::string& path, const std::string& user);

}  // namespace sallyport::tests
