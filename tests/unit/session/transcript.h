#pragma once

#include <cstdint>
#include <istream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/load.h"
#include "policy/sql/analyse.h"
#include "proxy/session/gate.h"
#include "proxy/session/prepared_transactions.h"

namespace sallyport::proxy::audit {
/// Receipts for tests of what may only go on with one.
class fake_receipts {
  public:
    static std::unique_ptr<receipt> make(std::uint64_t sequence) {
        return std::unique_ptr<receipt>(new receipt(sequence));
    }
};
}  // namespace sallyport::proxy::audit

/// Conversations with a gate as text: who speaks stands in the margin.
///
///   C  what the client sends; neighbouring C lines are one write       (input)
///   U  what the server sends                                            (input)
///   K  the client cancels; T a tick without news; H a hold's outcome    (input)
///   S  what goes to the server; P what goes to the client               (expected)
///   $  like S, and it may not go when the record before it fails        (expected)
///   A  a record that is waited for; a one that is not                   (expected)
///   R  the catalog is looked at                                         (expected)
///   O  a hold is opened; W it is withdrawn; X the session is closed     (expected)
///
/// `*` in an expected line stands for anything. What is not listed fails the test.
namespace sallyport::tests {

struct line {
    char who = ' ';
    std::string text;
    int number = 0;
};

struct transcript {
    std::string name;
    std::string user = "alice";
    std::vector<std::string> groups{"dev"};
    std::vector<std::string>
        tables;  ///< "pii.customers": of the target's catalog; none: no catalog
    std::vector<std::string> opt_outs;  ///< rules that alice has a live opt-out from
    std::vector<line> lines;
};
/// A file of tests/data/transcripts; the names of the transcripts there, sorted; and the rules they
/// are played under, whose faults are a test's.
[[nodiscard]] std::string transcript_data(const std::string& name);
[[nodiscard]] std::vector<std::string> transcript_names();
[[nodiscard]] policy::rule_set_ptr transcript_rules();
[[nodiscard]] transcript read_transcript(const std::string& path);
[[nodiscard]] transcript parse_transcript(const std::string& name, std::istream& text);

struct replay_options {
    bool byte_by_byte = false;
    int disconnect_before = -1;  ///< index of the line before which the client vanishes
    int fail_record = -1;        ///< index of the A line that cannot be written
    proxy::telemetry::statement_sink* sink = nullptr;  ///< it is watched
};

/// What a replay showed: lines that differ, and everything that went upstream.
struct replay_result {
    std::vector<std::string> faults;
    std::vector<std::string> to_server;
    bool withdrawn = false;
    bool held_open = false;  ///< a hold was waiting when the client vanished
    std::size_t to_server_at_disconnect = 0;
};
[[nodiscard]] replay_result replay(const transcript& t, const policy::rule_set_ptr& rules,
                                   const replay_options& options);

}  // namespace sallyport::tests
