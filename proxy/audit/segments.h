#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/audit/verify.h"

/// The files of a log: their names, and reading their lines.
namespace sallyport::proxy::audit {

inline constexpr const char* head_file_name = "audit.head";

struct segment {
    std::uint64_t number = 0;
    std::string name;  ///< "audit-000007.jsonl"
};

[[nodiscard]] std::string segment_name(std::uint64_t number);
/// The segments in a directory in the order of their numbers; other files are not looked at.
/// Errors: std::runtime_error if the directory cannot be read.
[[nodiscard]] std::vector<segment> list_segments(const std::string& directory);

/// Reads the lines of one file. Errors: std::runtime_error naming the file.
class line_reader {
  public:
    line_reader(const std::string& directory, std::string name);
    ~line_reader();
    line_reader(const line_reader&) = delete;
    line_reader& operator=(const line_reader&) = delete;
    /// False at the end of the file.
    bool next(source_line& out);

  private:
    bool fill();
    std::string name_;
    int fd_ = -1;
    std::string buffer_;
    std::size_t at_ = 0;
    std::uint64_t number_ = 0;
};

/// The lines of several segments, as the verifier wants them.
class segment_source final : public line_source {
  public:
    /// `first_number`: what the first segment's number must be, 0 = any.
    segment_source(std::string directory, std::vector<segment> segments,
                   std::uint64_t first_number);
    ~segment_source() override;
    std::optional<source_line> next() override;

  private:
    std::string directory_;
    std::vector<segment> segments_;
    std::size_t next_segment_ = 0;
    std::uint64_t expected_number_;
    bool ended_ = false;
    std::unique_ptr<line_reader> reader_;
};

/// The checkpoint line in `audit.head`, "" if there is none or it cannot be read.
[[nodiscard]] std::string read_head_file(const std::string& directory);

}  // namespace sallyport::proxy::audit
