#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// What one client sends: the unit that is generated, played and made smaller.
namespace sallyport::tests::differential {

/// One frontend message, or some that mean nothing without each other.
struct step {
    std::string bytes;       ///< whole frames
    bool pause = false;      ///< read what the server answers so far before the next message
    bool malformed = false;  ///< its body cannot be decoded: the words of the error may differ
    bool epilogue = false;   ///< brings any session to rest and shows the tables; never left out
};

enum class policy_kind : std::uint8_t {
    allow_all,      ///< every rule allows: the replies must be equal byte by byte
    deny_forbidden  ///< the table `forbidden` is denied: the fate must be that of a server's 42501
};

struct sequence {
    std::uint64_t seed = 0;
    std::vector<step> steps;
    bool fresh = false;            ///< on a connection of its own
    bool closes = false;           ///< ends with Terminate: nothing comes after it
    bool half_closes = false;      ///< shuts its side of the connection behind the last message
    std::uint64_t split_seed = 0;  ///< where the writes through the proxy are cut; 0 = nowhere
};

/// The sequence of a seed: the same on every machine.
[[nodiscard]] sequence generate(std::uint64_t seed, policy_kind kind);

/// One line per message, in the words of protocol/trace.
[[nodiscard]] std::string describe(const sequence& s);

/// In the first column of the row that the epilogue asks for.
inline constexpr const char* state_marker = "state of the tables";
/// One row: state_marker, then a checksum of every table.
[[nodiscard]] const std::string& state_query();
/// Creates the tables (once per database) and brings them back to their first rows.
[[nodiscard]] const std::string& schema_sql();
[[nodiscard]] const std::string& reset_sql();

}  // namespace sallyport::tests::differential
