#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "policy/hold.h"
#include "protocol/cursor.h"
#include "proxy/approval/steward.h"
#include "proxy/audit/record.h"

/// What the gate wants done. The runner (session.cpp) is the only interpreter.
namespace sallyport::proxy::session {

struct action {
    enum class type : std::uint8_t {
        to_server,        ///< write `view` (or `text` if it is not empty) upstream
        to_client,        ///< write `view` (or `text`) to the client
        analyse,          ///< find the facts of `text` off this thread, then gate::on_facts
        refresh_catalog,  ///< look at the target's catalog anew, then gate::on_catalog
        ask_console,      ///< run `text` there as this person, then gate::on_shown
        leave_databases,  ///< the catalogs' own connections would stand in a statement's way
        open_hold,        ///< `hold`, `wait`; then gate::on_hold_opened and on_hold_outcome
        ask_hold,         ///< `hold`, `wait`: without waiting for it; then gate::on_asked
        withdraw_hold,    ///< `hold_number`, `text` = why
        use_opt_outs,     ///< `bypass`; then gate::on_recorded(ticket)
        record,           ///< `record`; then gate::on_recorded(ticket) if ticket != 0
        end_transaction,  ///< passes of scope transaction end now
        close             ///< write what is owed, then end both sides; `text` = why, for the record
    };
    type what = type::close;
    protocol::bytes view;  ///< valid until the step that returned it is interpreted
    std::string text;
    std::uint32_t ticket = 0;
    policy::hold_id hold_number;
    policy::milliseconds wait{};
    // The rare ones carry more.
    std::unique_ptr<policy::hold> hold;
    std::unique_ptr<approval::bypass_request> bypass;
    std::unique_ptr<audit::record> record;
};
[[nodiscard]] const char* to_string(action::type t) noexcept;

/// The actions of one step, in order. One per worker, cleared between steps, so that the path of a
/// plain statement allocates nothing.
class actions {
  public:
    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    [[nodiscard]] std::vector<action>& list() noexcept { return list_; }
    void clear() noexcept { list_.clear(); }

    /// Adds bytes for one side; bytes that follow the last ones in the same buffer are joined.
    void send(action::type side, protocol::bytes view) {
        if (view.empty()) return;
        if (!list_.empty()) {
            auto& last = list_.back();
            if (last.what == side && last.text.empty() &&
                last.view.data() + last.view.size() == view.data()) {
                last.view = {last.view.data(), last.view.size() + view.size()};
                return;
            }
        }
        add(side).view = view;
    }
    void send_owned(action::type side, std::string text) {
        if (!text.empty()) add(side).text = std::move(text);
    }
    action& add(action::type what) {
        auto& a = list_.emplace_back();
        a.what = what;
        return a;
    }

  private:
    std::vector<action> list_;
};

}  // namespace sallyport::proxy::session
