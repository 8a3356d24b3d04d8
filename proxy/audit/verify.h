#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// Does a log still say what was written? Needs only the files and the public key.
namespace sallyport::proxy::audit {

/// What is wrong with the first bad line.
enum class damage : std::uint8_t {
    none,
    unreadable,        ///< a file or the directory could not be read, or there is no log in it
    missing_segment,   ///< a file of the series is gone
    edited,            ///< the line's bytes are not those that were written
    deleted,           ///< lines are gone before this one
    inserted,          ///< this line was not written by the log
    swapped,           ///< this line and a later one changed places
    sequence_gap,      ///< the numbers do not go on, and none of the above explains it
    bad_signature,     ///< a checkpoint that this key did not sign
    unsigned_segment,  ///< a file that does not begin with a checkpoint
    cut_tail,          ///< the log ends before a head or a signed checkpoint known from elsewhere
    torn_line,         ///< the last line has no end: a crash; the next start of the log repairs it
    line_too_long      ///< above line_bytes_max: nothing this log writes
};
[[nodiscard]] const char* to_string(damage d) noexcept;

/// A head kept elsewhere (printed by `audit head`, mailed, in another log).
struct known_head {
    std::uint64_t sequence = 0;
    std::string hash;  ///< hex
};

struct verify_options {
    std::optional<known_head> expected_head;
    /// Old files were archived on purpose: begin with the checkpoint of the first file that is
    /// there.
    bool may_start_later = false;
    /// Called now and then with the lines that were good so far; empty: not.
    std::function<void(std::uint64_t)> progress{};
};

struct verify_report {
    damage what = damage::none;
    std::string file;           ///< name of the first bad file, "" for the log as a whole
    std::uint64_t line = 0;     ///< first bad line in it, from 1; 0 = the file as a whole
    std::string text;           ///< one sentence for a person
    std::uint64_t records = 0;  ///< lines that were good
    std::uint64_t checkpoints = 0;
    std::uint64_t signed_through = 0;  ///< sequence up to which a signature vouches
    known_head head;                   ///< of the last good line: keep it elsewhere
    std::string note;                  ///< what could not be checked, "" = nothing to say

    [[nodiscard]] bool ok() const noexcept { return what == damage::none; }
};

/// One line as a source gives it.
struct source_line {
    std::string file;
    std::uint64_t number = 0;  ///< in its file, from 1
    std::string bytes;         ///< without newline
    bool complete = true;      ///< false: the file ended without a newline
    bool too_long = false;     ///< `bytes` is cut
    std::string missing;       ///< non-empty: instead of a line, what could not be read
    bool unreadable = false;   ///< with `missing`: an I/O error, else a gap in the series
};

/// Where lines come from, in order. Files in production, a vector in tests.
class line_source {
  public:
    virtual ~line_source() = default;
    /// nullopt at the end.
    virtual std::optional<source_line> next() = 0;
};

/// Verifies what `lines` gives. `signed_head`: a checkpoint line known from elsewhere (audit.head),
/// or "". Errors: in the report; never throws for damage. Memory: a few lines.
[[nodiscard]] verify_report verify_lines(line_source& lines, std::string_view public_key_pem,
                                         const verify_options& options,
                                         std::string_view signed_head);

/// Verifies all segments of a directory, streaming.
/// Errors: throws std::runtime_error if the public key cannot be read as one.
[[nodiscard]] verify_report verify_directory(const std::string& directory,
                                             std::string_view public_key_pem,
                                             const verify_options& options = {});

}  // namespace sallyport::proxy::audit
