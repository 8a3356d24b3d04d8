#include "proxy/admin/dependencies.h"

#include <chrono>
#include <utility>

#include "proxy/audit/overuse.h"

namespace sallyport::proxy::admin {

approvals approvals_of(approval::steward& s) {
    approvals a;
    a.list_holds = [&s](std::optional<policy::hold_state> state,
                        std::function<void(std::vector<policy::hold>)> done) {
        s.list_holds(state, std::move(done));
    };
    a.list_opt_outs = [&s](std::optional<policy::opt_out_state> state,
                           std::function<void(std::vector<policy::opt_out>)> done) {
        s.list_opt_outs(state, std::move(done));
    };
    a.get_hold = [&s](policy::hold_id id, std::function<void(std::optional<policy::hold>)> done) {
        s.get_hold(id, std::move(done));
    };
    a.get_opt_out = [&s](policy::opt_out_id id,
                         std::function<void(std::optional<policy::opt_out>)> done) {
        s.get_opt_out(id, std::move(done));
    };
    a.vote_hold = [&s](approval::steward::hold_vote v, approval::steward::on_answer done) {
        s.vote(std::move(v), std::move(done));
    };
    a.ask_hold = [&s](policy::hold h, policy::milliseconds wait, approval::steward::on_asked done) {
        s.ask(std::move(h), wait, false, std::move(done));
    };
    a.escalate = [&s](policy::hold_id id, policy::principal who, bool is_admin,
                      approval::steward::on_answer done) {
        s.escalate(id, std::move(who), is_admin, std::move(done));
    };
    a.reassign = [&s](approval::steward::hold_reassign r, approval::steward::on_answer done) {
        s.reassign(std::move(r), std::move(done));
    };
    a.request_opt_out = [&s](policy::opt_out_request r, std::string surface,
                             approval::steward::on_answer done) {
        s.request_opt_out(std::move(r), std::move(surface), std::move(done));
    };
    a.vote_opt_out = [&s](approval::steward::opt_out_vote v, approval::steward::on_answer done) {
        s.vote(std::move(v), std::move(done));
    };
    a.revoke_opt_out = [&s](approval::steward::opt_out_revoke r,
                            approval::steward::on_answer done) {
        s.revoke(std::move(r), std::move(done));
    };
    a.withdraw_vote = [&s](std::variant<policy::hold_id, policy::opt_out_id> id,
                           policy::principal who, std::string surface,
                           approval::steward::on_answer done) {
        std::visit([&](auto of) { s.withdraw_vote(of, std::move(who), std::move(surface), done); },
                   id);
    };
    a.list_reviews = [&s](std::optional<policy::review_state> state,
                          std::function<void(std::vector<policy::review>)> done) {
        s.list_reviews(state, std::move(done));
    };
    a.review = [&s](approval::steward::review_verdict v, approval::steward::on_answer done) {
        s.review(std::move(v), std::move(done));
    };
    a.list_flags = [&s](bool live, std::function<void(std::vector<policy::flag>)> done) {
        s.list_flags(live, std::move(done));
    };
    a.set_flag = [&s](policy::flag_request r, policy::principal who, std::string surface,
                      approval::steward::on_answer done) {
        s.set_flag(std::move(r), std::move(who), std::move(surface), std::move(done));
    };
    a.lift_flag = [&s](policy::flag_id id, policy::principal who, std::string reason,
                       std::string surface, approval::steward::on_answer done) {
        s.lift_flag(id, std::move(who), std::move(reason), std::move(surface), std::move(done));
    };
    a.grants = [&s] { return s.grants(); };
    a.healthy = [&s] { return s.healthy(); };
    return a;
}

overuse_reporter overuse_reporter_of(std::string directory) {
    return [directory = std::move(directory)](std::optional<policy::instant> from,
                                              std::optional<policy::instant> to) {
        constexpr std::chrono::seconds long_enough{20};
        const auto end = std::chrono::steady_clock::now() + long_enough;
        return audit::overuse_json(audit::count_overuse(directory, from, to, [end](std::uint64_t) {
            return std::chrono::steady_clock::now() < end;
        }));
    };
}

audit_reader audit_reader_of(std::string directory) {
    return [directory = std::move(directory)](const audit::query& q, std::size_t limit,
                                              std::uint64_t before) {
        return audit::newest(directory, q, limit, before);
    };
}

}  // namespace sallyport::proxy::admin
