#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/dependencies.h"
#include "proxy/approval/steward.h"
#include "proxy/config.h"
#include "proxy/notify/courier.h"

/// The road of notices through the application: steward → outbox → courier → people.
namespace sallyport::proxy {

/// `notify:` of a configuration, kept alive by it.
[[nodiscard]] std::shared_ptr<const notify::settings> notify_settings(const settings_ptr& config);

/// A courier on this steward's outbox; not started. Both outlive it, as does what `audit` names.
[[nodiscard]] std::unique_ptr<notify::courier> make_courier(approval::steward& s, audit::log& audit,
                                                            const clock& time);

/// Makes a configuration's channels the ones that count.
void use_channels(const settings_ptr& config, const auth::user_directory& users,
                  approval::steward& s, notify::courier& c);

/// A reload with these faults changed nothing.
void tell_reload_refused(approval::steward& s, const std::vector<std::string>& faults);

/// What the surfaces need of it.
void add_notices(admin::dependencies& d, approval::steward& s, const notify::courier& c);

/// "channel ops is failing": for /readyz, without anything of what failed.
[[nodiscard]] std::vector<std::string> notice_notes(const notify::courier& c);

}  // namespace sallyport::proxy
