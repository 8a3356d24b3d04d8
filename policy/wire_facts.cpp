#include "policy/wire_facts.h"

#include <algorithm>
#include <array>
#include <string>

#include "policy/redact.h"

namespace sallyport::policy {
namespace {

constexpr std::string_view call = "function call";
constexpr std::string_view session = "replication session";
constexpr std::string_view command = "replication command";

// lo_open … lo_put: they work on what the client sends and asks for.
constexpr std::array<std::uint32_t, 17> large_object_functions{
    715, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172, 3457, 3458, 3459, 3460};

// lo_import, lo_export, pg_read_file, pg_read_binary_file, pg_ls_*, pg_stat_file, and what shows
// the server's configuration files.
constexpr std::array<std::uint32_t, 28> server_file_functions{
    764,  765,  767,  2621, 2622, 2623, 2624, 2625, 3293, 3295, 3297, 3307, 3329, 3353,
    3354, 3401, 3826, 3827, 3828, 4099, 4100, 5029, 5030, 5031, 6250, 6270, 6271, 6272};

facts_ptr call_facts(bool server_file, bool opaque) {
    auto f = std::make_shared<facts>();
    auto& s = f->statements.emplace_back();
    s.command = call;
    s.kinds.push_back(kind::fastpath);
    if (server_file) s.kinds.push_back(kind::server_file);
    if (opaque) {
        s.kinds.push_back(kind::opaque);
        s.opaque_reasons.emplace_back(
            "a function outside the client's large objects, called by number");
    }
    f->literal_sensitive = true;
    f->redacted = "<FunctionCall>";
    return f;
}

facts_ptr of_replication(std::string_view name, std::string redacted) {
    auto f = std::make_shared<facts>();
    auto& s = f->statements.emplace_back();
    s.command = name;
    s.kinds.push_back(kind::replication);
    f->literal_sensitive = true;
    f->redacted = std::move(redacted);
    return f;
}

template <std::size_t n>
bool has(const std::array<std::uint32_t, n>& sorted, std::uint32_t oid) noexcept {
    return std::ranges::binary_search(sorted, oid);
}

}  // namespace

const facts_ptr& function_call_facts(std::uint32_t oid) {
    static const facts_ptr large_object = call_facts(false, false);
    static const facts_ptr file = call_facts(true, true);
    static const facts_ptr other = call_facts(false, true);
    static_assert(std::ranges::is_sorted(large_object_functions));
    static_assert(std::ranges::is_sorted(server_file_functions));
    if (has(large_object_functions, oid)) return large_object;
    return has(server_file_functions, oid) ? file : other;
}

const facts_ptr& replication_session_facts() {
    static const facts_ptr f = of_replication(session, "<replication session>");
    return f;
}

bool is_replication_command(std::string_view text) noexcept {
    constexpr std::array<std::string_view, 9> words{
        "ALTER_REPLICATION_SLOT", "BASE_BACKUP",      "CREATE_REPLICATION_SLOT",
        "DROP_REPLICATION_SLOT",  "IDENTIFY_SYSTEM",  "READ_REPLICATION_SLOT",
        "START_REPLICATION",      "TIMELINE_HISTORY", "UPLOAD_MANIFEST"};
    constexpr std::string_view blanks = " \t\n\r\f\v";
    const auto from = text.find_first_not_of(blanks);
    if (from == std::string_view::npos) return false;
    text.remove_prefix(from);
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
    };
    const auto end = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_word) -
                                              text.begin());
    const auto first = text.substr(0, end);
    return std::ranges::any_of(words, [&](std::string_view word) {
        return std::ranges::equal(first, word, [](char a, char b) {
            return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
        });
    });
}

facts_ptr replication_command_facts(std::string_view text) {
    return of_replication(command, redact(text));
}

bool is_wire_command(const facts& f) noexcept {
    if (f.statements.size() != 1) return false;
    const std::string_view name = f.statements.front().command;
    return name == call || name == session || name == command;
}

void restrict_wire_command(decision& d, const facts& f) {
    if (d.effect == effect::deny || !is_wire_command(f)) return;
    const bool file = f.statements.front().has(kind::server_file);
    const bool by_default =
        d.effect == effect::allow && d.rule == nullptr && d.grant == granted_by::nothing;
    if (!by_default && !file) return;
    d.effect = effect::deny;
    d.rule = nullptr;
    d.hold = nullptr;
    d.excepted.clear();
    d.rule_id = default_rule_id;
    d.reasons.emplace_back(
        file ? "functions that touch files of the server are never called by number"
             : "a " + f.statements.front().command + " passes only where a rule allows " +
                   std::string(to_string(f.statements.front().kinds.front())));
}

}  // namespace sallyport::policy
