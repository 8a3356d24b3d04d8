#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "proxy/store/connection.h"
#include "proxy/store/rows.h"
#include "proxy/store/store.h"

/// The embedded state. Internal to this folder.
namespace sallyport::proxy::store {

inline constexpr std::size_t holds_listed_max = 1000;  // each may carry a statement of megabytes
inline constexpr std::size_t opt_outs_listed_max = 10'000;

class sqlite_store final : public store, public token_store {
  public:
    explicit sqlite_store(const std::string& path) : db_(path) {}

    policy::hold_id add_hold(const policy::hold& h) override;
    void add_hold_vote(policy::hold_id id, const policy::vote& v) override;
    bool move_hold(policy::hold_id id, policy::hold_state from, policy::hold_state to,
                   const std::string& reason, policy::instant at, const policy::vote* v,
                   policy::pass* granted) override;
    bool assign_hold(policy::hold_id id, const policy::hold::assignment& a) override;
    std::optional<policy::hold> get_hold(policy::hold_id id) override;
    std::vector<policy::hold> list_holds(std::optional<policy::hold_state> state,
                                         std::size_t limit) override;
    std::vector<policy::hold> withdraw_orphans(policy::instant at,
                                               const std::string& reason) override;

    policy::opt_out_id add_opt_out(const policy::opt_out& o) override;
    void add_opt_out_vote(policy::opt_out_id id, const policy::vote& v) override;
    bool move_opt_out(policy::opt_out_id id, const opt_out_change& c) override;
    std::optional<std::uint64_t> use_opt_out(policy::opt_out_id id, policy::instant now) override;
    std::vector<std::optional<std::vector<std::uint64_t>>> use_opt_outs(
        const std::vector<std::vector<policy::opt_out_id>>& requests, policy::instant now) override;
    std::optional<policy::opt_out> get_opt_out(policy::opt_out_id id) override;
    std::vector<policy::opt_out> list_opt_outs(std::optional<policy::opt_out_state> state,
                                               std::size_t limit) override;

    std::vector<policy::opt_out> opt_outs_since(const std::string& rule,
                                                policy::instant since) override;
    bool withdraw_vote(policy::hold_id id, const std::string& person, policy::instant at) override;
    bool withdraw_vote(policy::opt_out_id id, const std::string& person,
                       policy::instant at) override;

    std::vector<policy::review> list_reviews(std::optional<policy::review_state> state,
                                             std::size_t limit) override;
    std::optional<policy::review> get_review(policy::opt_out_id id) override;
    bool close_review(policy::opt_out_id id, policy::review_state to, const std::string& reviewer,
                      const std::string& note, policy::instant at) override;
    void note_overdue(policy::opt_out_id id, policy::instant at) override;

    policy::flag_id add_flag(const policy::flag& f) override;
    bool lift_flag(policy::flag_id id, const std::string& by, const std::string& reason,
                   policy::instant at) override;
    std::vector<policy::flag> list_flags(std::optional<policy::instant> live_at,
                                         std::size_t limit) override;

    std::vector<policy::pass> list_passes(policy::instant now) override;
    void end_session_passes(policy::session_id session, policy::instant at) override;
    void end_transaction_passes(policy::session_id session, policy::instant at) override;
    void end_pass(policy::pass_id id, policy::instant at) override;
    void end_bound_passes(policy::instant at) override;
    std::vector<policy::hold> list_ahead(policy::instant now) override;
    void add_pass(policy::pass& p) override;

    void atomically(const std::function<void()>& f) override;
    void add_notice(const policy::notice& n, const std::vector<std::string>& channels) override;
    std::vector<delivery> due(const std::string& channel, policy::instant now,
                              std::size_t limit) override;
    policy::instant next_due(const std::string& channel) override;
    void settle(const std::vector<delivery_outcome>& outcomes) override;
    std::vector<delivery> close_channels(const std::vector<std::string>& but,
                                         const std::string& why, policy::instant at) override;
    std::vector<channel_backlog> backlog() override;
    std::vector<delivery> troubled(std::size_t limit) override;

    token_store* tokens() override { return this; }
    std::uint64_t add_token(const api_token& t) override;
    bool revoke_token(std::uint64_t id, const std::string& by, policy::instant at) override;
    void note_token_uses(
        const std::vector<std::pair<std::uint64_t, policy::instant>>& uses) override;
    std::vector<api_token> list_tokens(policy::instant now) override;

    std::size_t trim(policy::instant before) override;
    void probe() override;
    std::uint64_t next_boot_number() override;
    std::string mock_secret() override;

  private:
    /// Runs `f` on a connection that works; whatever it throws leaves no transaction open.
    template <class F>
    auto guarded(F f) -> decltype(f()) {
        if (!nested_) db_.reopen_if_broken();
        try {
            return f();
        } catch (...) {
            db_.note_error();
            throw;
        }
    }
    template <class F>
    auto in_transaction(F f) -> decltype(f()) {
        // Inside atomically() everything belongs to the transaction that is open.
        if (nested_) return f();
        return guarded([&] {
            const inside mark(nested_);
            transaction t(db_);
            if constexpr (std::is_void_v<decltype(f())>) {
                f();
                t.commit();
            } else {
                auto result = f();
                t.commit();
                return result;
            }
        });
    }
    void insert_hold_vote(policy::hold_id id, const policy::vote& v);
    void insert_opt_out_vote(policy::opt_out_id id, const policy::vote& v);
    void insert_pass(policy::pass& p);
    std::vector<policy::vote> hold_votes(policy::hold_id id);
    std::vector<policy::vote> opt_out_votes(policy::opt_out_id id);
    std::vector<policy::hold> holds_in(std::optional<policy::hold_state> state, std::int64_t limit);
    std::optional<std::uint64_t> count_use(policy::opt_out_id id, policy::instant now);
    void settle_one(const delivery_outcome& o);
    std::size_t trim_outbox(policy::instant before);

    /// True while it lives.
    struct inside {
        explicit inside(bool& flag) : flag_(flag) { flag_ = true; }
        ~inside() { flag_ = false; }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;
        bool& flag_;
    };
    bool nested_ = false;
    connection db_;
};

}  // namespace sallyport::proxy::store
