#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/rule.h"
#include "policy/types.h"
#include "proxy/admin/audit_sources.h"
#include "proxy/admin/authority.h"
#include "proxy/admin/explained.h"
#include "proxy/admin/policy_sources.h"
#include "proxy/admin/token_table.h"
#include "proxy/approval/delivery.h"
#include "proxy/approval/steward.h"
#include "proxy/audit/read.h"
#include "proxy/audit/record.h"
#include "proxy/clock.h"
#include "proxy/console.h"
#include "proxy/locks.h"
#include "proxy/notify/settings.h"
#include "proxy/notify/status.h"
#include "proxy/rule_uses.h"

/// What the admin surfaces need of the rest of the proxy, as functions: they include no session, no
/// socket and no application code, and tests give them fakes.
namespace sallyport::proxy::admin {

/// The steward's side that surfaces use. approvals_of() makes one from a steward.
struct approvals {
    std::function<void(std::optional<policy::hold_state>,
                       std::function<void(std::vector<policy::hold>)>)>
        list_holds;
    std::function<void(std::optional<policy::opt_out_state>,
                       std::function<void(std::vector<policy::opt_out>)>)>
        list_opt_outs;
    std::function<void(policy::hold_id, std::function<void(std::optional<policy::hold>)>)> get_hold;
    std::function<void(policy::opt_out_id, std::function<void(std::optional<policy::opt_out>)>)>
        get_opt_out;
    std::function<void(approval::steward::hold_vote, approval::steward::on_answer)> vote_hold;
    std::function<void(policy::hold, policy::milliseconds wait, approval::steward::on_asked)>
        ask_hold;
    std::function<void(policy::hold_id, policy::principal, bool is_admin,
                       approval::steward::on_answer)>
        escalate;
    std::function<void(approval::steward::hold_reassign, approval::steward::on_answer)> reassign;
    std::function<void(policy::opt_out_request, std::string surface, approval::steward::on_answer)>
        request_opt_out;
    std::function<void(approval::steward::opt_out_vote, approval::steward::on_answer)> vote_opt_out;
    std::function<void(approval::steward::opt_out_revoke, approval::steward::on_answer)>
        revoke_opt_out;
    std::function<void(std::variant<policy::hold_id, policy::opt_out_id>, policy::principal,
                       std::string surface, approval::steward::on_answer)>
        withdraw_vote;
    std::function<void(std::optional<policy::review_state>,
                       std::function<void(std::vector<policy::review>)>)>
        list_reviews;
    std::function<void(approval::steward::review_verdict, approval::steward::on_answer)> review;
    std::function<void(bool live, std::function<void(std::vector<policy::flag>)>)> list_flags;
    std::function<void(policy::flag_request, policy::principal, std::string surface,
                       approval::steward::on_answer)>
        set_flag;
    std::function<void(policy::flag_id, policy::principal, std::string reason, std::string surface,
                       approval::steward::on_answer)>
        lift_flag;
    std::function<policy::grants_ptr()> grants;  ///< locks among them; empty: nobody is locked
    std::function<bool()> healthy;  ///< store and audit could both write when last tried
};
/// `s` must outlive the result.
[[nodiscard]] approvals approvals_of(approval::steward& s);

/// Reads the log: the newest matches, newest first, at most `limit`, and only lines with a sequence
/// number below `before` unless that is 0. May block; throws std::runtime_error.
using audit_reader = std::function<std::vector<audit::parsed_line>(
    const audit::query&, std::size_t limit, std::uint64_t before)>;
/// One that reads the files of this directory.
[[nodiscard]] audit_reader audit_reader_of(std::string directory);

/// The report of audit::overuse_json() for a time. May block; throws std::runtime_error.
using overuse_reporter =
    std::function<std::string(std::optional<policy::instant>, std::optional<policy::instant>)>;
/// One that reads the files of this directory, for as long as an answer may take.
[[nodiscard]] overuse_reporter overuse_reporter_of(std::string directory);

struct reload_answer {
    bool done = false;
    std::vector<std::string> faults;  ///< "file:line:column: what", when not done
    std::vector<std::string> warnings;
    std::string policy_hash;  ///< of the rules now in force
};

/// How notices reach people.
struct delivery_overview {
    std::vector<notify::channel_status> channels;
    approval::delivery_report report;
};

using rule_counts = std::map<std::string, rule_uses::count>;  ///< by rule id

struct dependencies {
    /// Checks a password; nullopt for a wrong one, an unknown user, or one who may not log in so.
    /// Takes the same time for all of these. May block for milliseconds: called on a thread of its
    /// own.
    std::function<std::optional<policy::principal>(const std::string& user,
                                                   std::string_view password)>
        authenticate;
    /// The person as of now; nullopt ends her logins. Called for every request: must be quick.
    std::function<std::optional<policy::principal>(const std::string& user)> find_user;
    approvals approval;
    session_directory* sessions = nullptr;
    std::function<policy::rule_set_ptr()> rules;
    std::function<std::vector<std::string>()> targets;  ///< names of now; empty: not known
    /// How often observed rules and exceptions had a say since the start; empty: not counted.
    std::function<rule_counts()> rule_uses;
    std::function<reload_answer()> reload;                      ///< may block
    std::function<explained(const explain_question&)> explain;  ///< may block
    audit_reader read_audit;                                    ///< may block
    overuse_reporter report;                                    ///< may block
    /// What /readyz tells besides, without failing for it; empty: nothing. Everybody may read it.
    std::function<std::vector<std::string>()> health_notes;
    /// What /metrics tells, in the text format of Prometheus; empty: there is none. Everybody may
    /// read it.
    std::function<std::string()> metrics;
    /// Empty: nobody is told of anything. The callback comes on any thread.
    std::function<void(std::function<void(delivery_overview)>)> deliveries;
    /// For clicks in Slack; empty or null: there are none.
    std::function<std::shared_ptr<const notify::settings>()> notify;
    std::function<void(audit::record)> record;  ///< queues; never blocks
    const clock* time = nullptr;
    role_config roles;
    std::string version;  ///< "0.1.0"
    audit_sources audit;  ///< empty: stories, bundles and insight are not to be had
    token_keeper tokens;  ///< empty: there are no API tokens
    /// Whether users.yaml has the name at all, expired or not; empty: everybody of find_user.
    std::function<bool(const std::string& user)> knows_user;
    /// Whose certificate this is, by its subject; nullopt: nobody's of now.
    std::function<std::optional<policy::principal>(const std::string& subject)> find_certificate;
    policy_sources policies;  ///< empty: no findings, no candidates, and nothing is counted
    lock_source locks;        ///< empty: no server is asked what a transaction holds
};

}  // namespace sallyport::proxy::admin
