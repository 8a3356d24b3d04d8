#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/approval/steward.h"
#include "tests/model/terms.h"

/// What should be, kept by the simplest means: maps, and a look at every entry whenever time
/// passes.
namespace sallyport::model {

using policy::hold_state;
using policy::opt_out_state;
using policy::pass_scope;

/// Hears what becomes of a session that waits.
struct ear {
    std::mutex mutex;
    std::vector<proxy::approval::hold_outcome> heard;
};

struct seat {  ///< a session
    std::uint64_t id = 0;
    std::string who;
    std::string application;
};

struct hold_m {
    struct grant {
        pass_scope scope = pass_scope::statement;
        std::optional<milliseconds> lasts;  ///< of a statement's: none
    };
    std::string who, application, rule, hash;
    int text = 0;
    std::vector<std::string> groups;
    int needed = 1;
    bool escalates = false, escalated = false, ahead = false;
    std::optional<milliseconds> shape, transaction, session;
    instant opened, ends;
    hold_state state = hold_state::pending;
    std::vector<std::pair<std::uint64_t, std::shared_ptr<ear>>> waiters;
    std::set<std::string> votes;
    std::vector<grant> granted;  ///< what has been agreed to, also by votes taken back
    instant ready_until{};       ///< approved ahead, and to be taken until then
    std::string task_of;
    bool superseded = false;  ///< a later one asks the same
};

struct pass_m {
    policy::pass_id id;
    std::uint64_t hold = 0;
    std::string rule, who;
    pass_scope scope = pass_scope::shape;
    int shape = 0;
    std::uint64_t session = 0;
    instant until;
};

struct opt_out_m {
    std::string who, group, application;
    std::vector<std::string> teams;  ///< of who asked, then
    policy::opt_out_kind kind = policy::opt_out_kind::request;
    opt_out_state state = opt_out_state::requested;
    instant lapses, from, until, ended;
    milliseconds duration{};
    milliseconds begun_at{};  ///< in time that has really gone by
    std::uint64_t uses = 0, uses_max = 0, extends = 0;
    int needed = 1;
    std::vector<std::string> groups;
    std::set<std::string> votes;
    int written = 0;
    bool ended_by_person = false;
};

struct review_m {
    bool open = true;
    instant due;
    std::string who, group;
    bool glass = false;
};

struct flag_m {
    policy::flag_kind kind = policy::flag_kind::flag;
    policy::flag_on on = policy::flag_on::principal;
    std::string subject;
    instant until;
};

enum class expected : std::uint8_t { allow, hold, deny };

class oracle {
  public:
    terms now_in_force;
    std::map<std::uint64_t, hold_m> holds;
    std::vector<pass_m> passes;
    std::map<std::uint64_t, opt_out_m> opt_outs;
    std::map<std::uint64_t, review_m> reviews;
    std::map<std::uint64_t, flag_m> flags;

    /// What time alone does.
    void pass_time(instant now);
    void reload(const terms& t, instant now);
    /// All that runs is gone, the files are not.
    void restart(instant now);

    [[nodiscard]] expected decide(const seat& s, int text, instant now) const;
    [[nodiscard]] bool may_decide(const hold_m& h, const person& p) const;
    [[nodiscard]] bool may_decide(const opt_out_m& o, const person& p) const;
    [[nodiscard]] int needed(const hold_m& h) const;
    /// How many of the votes the rules of now let count.
    [[nodiscard]] int counting(const hold_m& h) const;
    [[nodiscard]] int counting(const opt_out_m& o) const;
    [[nodiscard]] bool may_request(const person& p, policy::opt_out_kind kind, milliseconds lasts,
                                   std::uint64_t extends, instant now) const;
    /// Reviews, pause, quota and how many may live bar `p`, as she was when she asked: from asking
    /// (what waits counts) or from what she asked for.
    [[nodiscard]] bool too_often(const person& p, policy::opt_out_kind kind, std::uint64_t extends,
                                 bool asks, instant now) const;
    void activate(opt_out_m& o, instant now);
    void end(std::uint64_t id, opt_out_state to, instant now);
    void lock_rule(instant now);
    /// The longest pass of that scope that the hold may bring now; nullopt: none is offered.
    [[nodiscard]] std::optional<milliseconds> bound(const hold_m& h, pass_scope scope) const;
    /// What all who approved agreed to.
    [[nodiscard]] static hold_m::grant agreed(const hold_m& h);
    [[nodiscard]] bool is_live(const opt_out_m& o, instant now) const;
    void sync_file(instant now);
    /// The rules and files of now would let it live.
    [[nodiscard]] bool still_fits(const opt_out_m& o) const;
    [[nodiscard]] bool still_fits(const pass_m& p, instant now) const;

    /// Opt-outs that a reload begins: the next numbers, in the order of the file.
    std::vector<opt_out_m> begun_by_file;

  private:
    [[nodiscard]] bool allows_now(const hold_m& h, const person& p) const;
    [[nodiscard]] const std::optional<milliseconds>& offered(pass_scope scope) const;
    [[nodiscard]] bool covered(const seat& s, const std::string& rule, int text, bool suspended,
                               instant now) const;
    [[nodiscard]] bool shut_out(const std::string& who) const;
    [[nodiscard]] bool flagged(const seat& s, policy::flag_kind kind, instant now) const;
    [[nodiscard]] bool locked(const std::string& rule, instant now) const;
};

}  // namespace sallyport::model
