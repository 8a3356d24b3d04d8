#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

namespace sallyport::proxy {

/// Reads a whole regular file of at most `bytes_max` bytes.
/// Errors: nullopt, and `error` is one line without the path: "No such file or directory" …
[[nodiscard]] inline std::optional<std::string> read_file(const std::string& path,
                                                          std::size_t bytes_max,
                                                          std::string& error) {
    std::FILE* f = std::fopen(path.c_str(), "rbe");
    if (f == nullptr) {
        error = std::strerror(errno);
        return std::nullopt;
    }
    // Unbuffered, so that no copy of a secret stays behind in the library's buffer.
    (void)std::setvbuf(f, nullptr, _IONBF, 0);
    std::string text(4096, '\0');
    std::size_t size = 0;
    errno = 0;
    for (;;) {
        const auto n = std::fread(text.data() + size, 1, text.size() - size, f);
        size += n;
        if (n == 0 || size > bytes_max) break;
        if (size == text.size()) text.resize(text.size() * 2);
    }
    const bool failed = std::ferror(f) != 0;
    const int cause = errno;
    (void)std::fclose(f);
    if (failed || size > bytes_max) {
        error =
            failed ? std::strerror(cause) : "longer than " + std::to_string(bytes_max) + " bytes";
        return std::nullopt;
    }
    text.resize(size);
    return text;
}

}  // namespace sallyport::proxy
