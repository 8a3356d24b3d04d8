#include "tests/differential/compare.h"

#include <algorithm>
#include <string_view>

#include "protocol/cursor.h"
#include "protocol/trace.h"

namespace sallyport::tests::differential {
namespace {

// What Sallyport sends to find out whether a client that has shut its side still reads.
constexpr std::string_view probe_body{"integer_datetimes\0on\0", 21};
constexpr std::uint32_t first_own_oid = 16384;  // below it are the objects that initdb made

// Tables that a sequence makes have other numbers in the other database.
void mask_table_numbers(std::string& row_description) {
    std::size_t at = 2;
    while (at < row_description.size()) {
        const auto end = row_description.find('\0', at);
        if (end == std::string::npos || row_description.size() - end < 19) return;
        if (protocol::load_u32(row_description.data() + end + 1) >= first_own_oid)
            std::fill_n(row_description.begin() + static_cast<std::ptrdiff_t>(end) + 1, 4, '\0');
        at = end + 19;
    }
}

std::string field(const std::map<char, std::string>& fields, char letter) {
    const auto found = fields.find(letter);
    return found == fields.end() ? std::string() : found->second;
}

bool one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// COPY data that is no COPY data: Sallyport may have sent a Close in the message's place.
//
// Where in its source the server found the error: Sallyport asks for an unknown name with a
// Describe, and the same error stands on another line there.
std::string without_place(const message& m) {
    std::string body;
    std::size_t at = 0;
    while (at < m.body.size() && m.body[at] != '\0') {
        const auto end = std::min(m.body.find('\0', at), m.body.size() - 1);
        if (!one_of(m.body.substr(at, 1), {"F", "L", "R"})) body += m.body.substr(at, end - at + 1);
        at = end + 1;
    }
    return body + '\0';
}

class normaliser {
  public:
    normaliser(const sequence& s, policy_kind kind) : kind_(kind), half_closes_(s.half_closes) {
        for (const auto& one : s.steps)
            malformed_ = malformed_ || one.malformed;
    }

    std::vector<message> run(const std::vector<message>& from) {
        std::size_t group = 0;  // where the replies since the last ReadyForQuery begin
        std::vector<message> out;
        std::vector<message> notifications;
        for (auto m : from) {
            if (m.type == 'A') {
                // Sent as soon as the server waits for its client outside of a transaction: where
                // that is depends on when the messages arrive. Their order does not.
                std::fill_n(m.body.begin(), 4, '\0');
                notifications.push_back(std::move(m));
                continue;
            }
            if (half_closes_ && m.type == 'S' && m.body == probe_body) continue;
            if (m.type == 'T') mask_table_numbers(m.body);
            if (m.type == 'E' && mask_error(m)) {
                // A server finds this fault while it runs the statement, Sallyport before.
                out.erase(out.begin() + static_cast<std::ptrdiff_t>(group), out.end());
            }
            out.push_back(std::move(m));
            if (out.back().type == 'Z') group = out.size();
        }
        out.insert(out.end(), notifications.begin(), notifications.end());
        return out;
    }

  private:
    // True if it is a refusal whose batch is compared by its fate alone.
    bool mask_error(message& m) const {
        const auto fields = fields_of(m);
        const auto code = field(fields, 'C');
        if (field(fields, 'S') != "ERROR") {
            if (code == "08P01") m.body = std::string("SFATAL\0C08P01\0\0", 15);
            return false;
        }
        if (kind_ == policy_kind::deny_forbidden &&
            one_of(code, {"42501", "25P02", "25006", "26000", "34000", "42P03"})) {
            m.body = std::string("SERROR\0Mrefused\0\0", 17);
            return true;
        }
        if (malformed_ && one_of(code, {"08P01", "26000", "34000", "25P02", "22021"})) {
            m.body = std::string("SERROR\0Mmalformed\0\0", 19);
            return false;
        }
        if (one_of(code, {"26000", "34000", "25P02"})) m.body = without_place(m);
        if (code == "08P01" && field(fields, 'R') == "CopyGetData")
            m.body = std::string("SERROR\0MCOPY data expected\0\0", 28);
        return false;
    }

    policy_kind kind_;
    bool half_closes_;
    bool malformed_ = false;
};

std::string shown(const message& m) {
    std::string frame(1, m.type);
    const auto length = static_cast<std::uint32_t>(m.body.size() + 4);
    frame += wire::int32(length) + m.body;
    auto line = protocol::trace_backend(frame);
    if (m.type == 'E') {
        for (const auto& [letter, value] : fields_of(m))
            if (letter != 'S' && letter != 'V' && letter != 'C' && letter != 'M')
                line += std::string(" ") + letter + "=" + protocol::quote(value);
    }
    return line.size() > 400 ? line.substr(0, 400) + " …" : line;
}

std::string side(const char* name, const std::vector<message>& all, std::size_t at) {
    constexpr std::size_t before = 3;
    constexpr std::size_t after = 3;
    std::string out = std::string("  ") + name + ":\n";
    const auto from = at > before ? at - before : 0;
    for (std::size_t i = from; i < std::min(all.size(), at + after); ++i)
        out += (i == at ? "   > " : "     ") + shown(all[i]) + "\n";
    if (at >= all.size()) out += "   > (nothing)\n";
    return out;
}

}  // namespace

bool lost_track(const replies& proxied) {
    return proxied.closed && !proxied.messages.empty() && proxied.messages.back().type == 'E' &&
           proxied.messages.back().body.find("Sync inside of COPY data whose COPY failed") !=
               std::string::npos;
}

std::optional<std::string> difference(const sequence& s, policy_kind kind, const replies& direct,
                                      const replies& proxied) {
    normaliser n(s, kind);
    const auto a = n.run(direct.messages);
    const auto b = n.run(proxied.messages);
    std::size_t at = 0;
    while (at < a.size() && at < b.size() && a[at] == b[at])
        ++at;
    std::string why;
    if (at < a.size() || at < b.size())
        why = "reply " + std::to_string(at + 1) + " differs:\n" + side("PostgreSQL", a, at) +
              side("Sallyport", b, at);
    if (direct.timed_out) why += "  PostgreSQL did not answer to the end\n";
    if (proxied.timed_out) why += "  through Sallyport, the rest did not come\n";
    if (direct.closed != proxied.closed)
        why += std::string("  the connection was closed by ") +
               (direct.closed ? "PostgreSQL only" : "Sallyport only") + "\n";
    if (why.empty()) return std::nullopt;
    return why;
}

}  // namespace sallyport::tests::differential
