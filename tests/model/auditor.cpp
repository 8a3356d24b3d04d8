#include "tests/model/auditor.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "proxy/audit/read.h"
#include "proxy/audit/verify.h"

namespace sallyport::model {

namespace {

using proxy::audit::parsed_line;

struct story {
    std::string person;
    std::set<std::string> for_it;  // who approves, and has not taken it back
    bool active = false;
    int begun = 0;
    int ended = 0;
    bool glass = false;
    std::uint64_t uses = 0;
    std::uint64_t uses_max = 0;
};

std::uint64_t number(std::string_view text) {
    std::uint64_t n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
}

class reader {
  public:
    std::vector<std::string> faults;
    std::map<std::uint64_t, std::uint64_t> bypasses;  // sequence → opt-out
    std::set<std::uint64_t> approved;

    void line(const parsed_line& l) {
        if (l.event.starts_with("hold.")) return of_hold(l);
        if (l.event == "bypass") return bypass(l);
        if (l.event.starts_with("opt_out.") || l.event == "break_glass.broken") of_opt_out(l);
    }

  private:
    void fault(const parsed_line& l, const std::string& what) {
        faults.push_back("line " + std::to_string(l.sequence) + " (" + l.event + "): " + what);
    }
    void vote(const parsed_line& l, story& s) {
        const std::string voter(l.field("voter"));
        if (voter == s.person) fault(l, voter + " votes on her own request");
        if (voter == "ci") fault(l, "a program votes");
        if (l.field("vote") == "approve") s.for_it.insert(voter);
    }
    void end(const parsed_line& l, story& s, const std::string& name) {
        if (++s.ended > 1) fault(l, name + " ends a second time");
    }

    void of_hold(const parsed_line& l) {
        const auto id = number(l.field("hold"));
        auto& s = holds_[id];
        const auto name = "hold " + std::to_string(id);
        const bool resumed = l.event == "hold.resumed";
        if (l.event == "hold.opened" || resumed) {
            s.person = l.field("user");
            ++s.begun;
            // The crash may have taken its records.
            if (resumed && l.field("state") == "approved") approved.insert(id);
            return;
        }
        if (l.event == "hold.vote") vote(l, s);
        if (l.event == "hold.vote_withdrawn") s.for_it.erase(std::string(l.field("voter")));
        if (l.event == "hold.approved") {
            end(l, s, name);
            approved.insert(id);
            if (s.begun == 0) fault(l, name + " was never opened");
            if (s.for_it.empty()) fault(l, name + " has no vote");
            if (l.field("approved_by").find(s.person) != std::string_view::npos)
                fault(l, s.person + " counts as her own approver");
        }
        if (l.event == "hold.denied" || l.event == "hold.expired" || l.event == "hold.withdrawn")
            end(l, s, name);
    }

    void of_opt_out(const parsed_line& l) {
        const auto id = number(l.field("opt_out"));
        auto& s = opt_outs_[id];
        const auto name = "opt-out " + std::to_string(id);
        if (l.event == "opt_out.requested" || l.event == "break_glass.broken") {
            s.person = l.field("user");
            s.glass = l.event == "break_glass.broken";
        }
        if (l.event == "opt_out.vote") vote(l, s);
        if (l.event == "opt_out.vote_withdrawn") s.for_it.erase(std::string(l.field("voter")));
        if (l.event == "opt_out.activated" || l.event == "opt_out.resumed") {
            s.active = true;
            s.uses_max = number(l.field("max_uses"));
            if (s.ended > 0) fault(l, name + " lives again");
            if (l.event == "opt_out.activated" && !s.glass && s.for_it.empty())
                fault(l, name + " is active without a vote");
        }
        const bool ends = l.event == "opt_out.expired" || l.event == "opt_out.revoked" ||
                          l.event == "opt_out.used_up" || l.event == "opt_out.denied" ||
                          l.event == "opt_out.withdrawn" || l.event == "opt_out.lapsed";
        if (!ends) return;
        end(l, s, name);
        s.active = false;
    }

    void bypass(const parsed_line& l) {
        const auto id = number(l.field("opt_out"));
        auto& s = opt_outs_[id];
        const auto name = "opt-out " + std::to_string(id);
        bypasses[l.sequence] = id;
        if (!s.active) fault(l, name + " lets pass and is not active");
        // Fixed-width UTC: text order is time order.
        if (!(l.time < l.field("until"))) fault(l, name + " lets pass at or after its end");
        const auto use = number(l.field("use"));
        if (use <= s.uses) fault(l, name + " counts use " + std::to_string(use) + " again");
        s.uses = use;
        if (s.uses_max != 0 && use > s.uses_max) fault(l, name + " is used too often");
    }

    std::map<std::uint64_t, story> holds_;
    std::map<std::uint64_t, story> opt_outs_;
};

}  // namespace

std::vector<std::string> faults_of_log(const std::string& directory, const std::string& public_pem,
                                       const std::vector<told_bypass>& told,
                                       const std::set<std::uint64_t>& released) {
    reader r;
    proxy::audit::for_each_match(directory, {}, [&](const parsed_line& l) {
        r.line(l);
        return true;
    });
    for (const auto& t : told) {
        const auto found = r.bypasses.find(t.sequence);
        if (found == r.bypasses.end() || found->second != t.opt_out)
            r.faults.push_back("a bypass of opt-out " + std::to_string(t.opt_out) +
                               " was let go without its record, line " +
                               std::to_string(t.sequence));
    }
    for (const auto id : released)
        if (!r.approved.contains(id))
            r.faults.push_back("hold " + std::to_string(id) +
                               " was released without the record of its approval");
    if (const auto v = proxy::audit::verify_directory(directory, public_pem, {}); !v.ok())
        r.faults.push_back("the chain is broken: " + v.text);
    return std::move(r.faults);
}

}  // namespace sallyport::model
