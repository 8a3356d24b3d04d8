#pragma once

#include "proxy/admin/router.h"

/// The handlers of the routes, in the order of the table. Each answers its call exactly once.
namespace sallyport::proxy::admin::endpoints {

void front(call c);
void page(call c);
void asset(call c);
void alive(call c);
void ready(call c);
void metrics(call c);
void openapi(call c);
void login(call c);
void logout(call c);
void me(call c);
void list_holds(call c);
void show_hold(call c);
void request_hold(call c);
void escalate_hold(call c);
void reassign_hold(call c);
void approve_hold(call c);
void deny_hold(call c);
void list_opt_outs(call c);
void request_opt_out(call c);
void show_opt_out(call c);
void approve_opt_out(call c);
void deny_opt_out(call c);
void revoke_opt_out(call c);
void extend_opt_out(call c);
void withdraw_hold_vote(call c);
void withdraw_opt_out_vote(call c);
void list_uses(call c);
void list_reviews(call c);
void sign_off_review(call c);
void raise_finding(call c);
void list_flags(call c);
void set_flag(call c);
void set_lock(call c);
void lift_flag(call c);
void list_sessions(call c);
void kill_session(call c);
void search_audit(call c);
void explain(call c);
void reload(call c);
void show_rules(call c);
void policy_findings(call c);
void try_candidate(call c);
void audit_story(call c);
void audit_bundle(call c);
void verify_audit(call c);
void insight(call c);
void list_tokens(call c);
void create_token(call c);
void revoke_token(call c);
void events(call c);
void list_deliveries(call c);
void slack_actions(call c);
void show_report(call c);

}  // namespace sallyport::proxy::admin::endpoints
