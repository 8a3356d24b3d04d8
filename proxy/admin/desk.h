#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/admin/authority.h"
#include "proxy/admin/dependencies.h"

/// What people can do on the admin surfaces, with the checks that belong to it.
namespace sallyport::proxy::admin {

/// Some items, or why not: `answer.what` is `done` exactly when the items count.
template <class T>
struct listing {
    approval::answer answer;
    std::vector<T> items;
};

struct hold_ballot {
    bool approve = false;
    std::string reason;
    policy::pass_scope scope = policy::pass_scope::statement;
    std::optional<policy::milliseconds> for_;
};

/// A hold that is asked for ahead.
struct hold_wish {
    std::string target;
    std::string sql;  ///< the very statement; "": a session
    std::string reason;
    std::string application;                   ///< "": with any
    std::optional<policy::milliseconds> wait;  ///< to be decided, and then to be taken; the rule's
};

/// Whose task a hold is to be, and why.
struct assignment_wish {
    std::string to;
    std::string reason;
};

struct opt_out_wish {
    std::string rule;
    policy::milliseconds duration{};
    std::string reason;
    std::string ticket;
    std::string target;
    policy::opt_out_kind kind = policy::opt_out_kind::request;
    std::string group{};
    policy::opt_out_scope scope{};
    std::optional<policy::instant> starts_at{};
};

/// Adds a word of `do:` to a scope; "" or one sentence why not.
[[nodiscard]] std::string add_action(policy::opt_out_scope& s, const std::string& word);

/// What an extension asks for; the rest is that of the opt-out it goes on for.
struct extension_wish {
    policy::milliseconds duration{};
    std::string reason;
    std::string ticket;  ///< "" = the same
};

/// What whoever decides on a hold keeps waiting with it.
struct open_transaction {
    policy::instant since;
    lock_report locks;
};

struct statistics {
    std::uint64_t holds_pending = 0;
    std::uint64_t opt_outs_requested = 0;
    std::uint64_t opt_outs_live = 0;
    std::uint64_t sessions = 0;
    bool healthy = false;
};

/// The one road from a surface to the steward, the sessions and the log. HTTP and console translate
/// their own language into these calls and nothing else, so authorisation and records cannot
/// differ. Every call checks permit() and visibility itself, whatever its caller has checked; what
/// is not visible is `not_found`, as if it did not exist. Calls that change something are
/// recorded as "admin.action" with their outcome. Concurrency: any thread; callbacks come once, on
/// any thread, possibly before the call returns.
class desk : public std::enable_shared_from_this<desk> {
  public:
    using on_answer = std::function<void(approval::answer)>;

    explicit desk(dependencies d);

    /// Forbidden when neither roles nor scopes cover the action, or a lock shuts the actor out of
    /// it; else done.
    [[nodiscard]] approval::answer permit(action what, const actor& a) const;

    void holds(actor a, std::optional<policy::hold_state> state,
               std::function<void(listing<policy::hold>)> done);
    void hold(actor a, policy::hold_id id, std::function<void(listing<policy::hold>)> done);
    /// The transaction that stays open while `h` waits, which hold() has shown before; nullopt:
    /// none. The server is asked, so it takes up to some seconds.
    void transaction(const policy::hold& h,
                     std::function<void(std::optional<open_transaction>)> done);
    void vote(actor a, policy::hold_id id, hold_ballot b, on_answer done);
    /// May block, as explain().
    void request_hold(const actor& a, const hold_wish& w, on_answer done);
    void escalate(actor a, policy::hold_id id, on_answer done);
    void reassign(actor a, policy::hold_id id, assignment_wish w, on_answer done);

    void opt_outs(actor a, std::optional<policy::opt_out_state> state,
                  std::function<void(listing<policy::opt_out>)> done);
    void opt_out(actor a, policy::opt_out_id id,
                 std::function<void(listing<policy::opt_out>)> done);
    void request(actor a, opt_out_wish w, on_answer done);
    void vote(actor a, policy::opt_out_id id, bool approve, std::string reason, on_answer done);
    void revoke(actor a, policy::opt_out_id id, std::string reason, on_answer done);
    void extend(actor a, policy::opt_out_id id, extension_wish w, on_answer done);
    void withdraw_vote(actor a, policy::hold_id id, on_answer done);
    void withdraw_vote(actor a, policy::opt_out_id id, on_answer done);

    void reviews(actor a, std::optional<policy::review_state> state,
                 std::function<void(listing<policy::review>)> done);
    void review(actor a, policy::opt_out_id id, policy::review_state to, std::string note,
                on_answer done);
    /// `live`: only what is in force.
    void flags(actor a, bool live, std::function<void(listing<policy::flag>)> done);
    void set_flag(actor a, policy::flag_request r, on_answer done);
    void lift_flag(actor a, policy::flag_id id, std::string reason, on_answer done);

    void sessions(actor a, std::function<void(listing<session_info>)> done);
    void kill(actor a, policy::session_id id, std::string reason, on_answer done);
    void stats(actor a, std::function<void(approval::answer, statistics)> done);

    void deliveries(actor a, std::function<void(approval::answer, delivery_overview)> done);

    /// These three may block.
    [[nodiscard]] std::pair<approval::answer, reload_answer> reload(const actor& a);
    [[nodiscard]] std::pair<approval::answer, explained> explain(const actor& a,
                                                                 explain_question q);
    [[nodiscard]] listing<audit::parsed_line> audit(const actor& a, const audit::query& q,
                                                    std::size_t limit, std::uint64_t before);
    /// The newest uses of an opt-out, for whoever may see it: opt_out() has to say so before. May
    /// block.
    [[nodiscard]] listing<audit::parsed_line> uses(policy::opt_out_id id, std::uint64_t before);

    /// Auditors; may block.
    [[nodiscard]] std::pair<approval::answer, std::string> report(
        const actor& a, std::optional<policy::instant> from, std::optional<policy::instant> to);

    [[nodiscard]] policy::rule_set_ptr rules() const { return d_.rules ? d_.rules() : nullptr; }
    [[nodiscard]] rule_counts counts() const {
        return d_.rule_uses ? d_.rule_uses() : rule_counts();
    }
    [[nodiscard]] const dependencies& world() const noexcept { return d_; }
    [[nodiscard]] policy::instant now() const noexcept { return d_.time->now(); }
    void record(audit::record r) const;

  private:
    [[nodiscard]] listing<audit::parsed_line> read_log(const audit::query& q, std::size_t limit,
                                                       std::uint64_t before);
    void record_action(const actor& a, const std::string& what, std::uint64_t id,
                       const std::string& reason, const approval::answer& outcome) const;
    [[nodiscard]] on_answer recorded(const actor& a, std::string what, std::uint64_t id,
                                     std::string reason, on_answer done);

    dependencies d_;
};

}  // namespace sallyport::proxy::admin
