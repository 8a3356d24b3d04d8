#include "proxy/admin/dependencies.h"

#include <utility>

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
    a.healthy = [&s] { return s.healthy(); };
    return a;
}

audit_reader audit_reader_of(std::string directory) {
    return [directory = std::move(directory)](const audit::query& q, std::size_t limit,
                                              std::uint64_t before) {
        return audit::newest(directory, q, limit, before);
    };
}

}  // namespace sallyport::proxy::admin
