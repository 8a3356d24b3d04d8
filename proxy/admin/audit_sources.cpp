#include "proxy/admin/audit_sources.h"

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "proxy/audit/keys.h"
#include "proxy/audit/segments.h"

namespace sallyport::proxy::admin {
namespace {

/// Shorter than the time that a connection waits for an answer.
std::chrono::steady_clock::time_point soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(20);
}

/// The proxy's own key; one that is gone is not made anew.
audit::signing_key key_of(const std::string& path) {
    if (!std::filesystem::exists(path))
        throw std::runtime_error("the signing key " + path + " is gone; put it back");
    return audit::signing_key::load_or_create(path);
}

audit::verify_report verify_live(const std::string& directory, const std::string& signing_key) {
    const auto key = key_of(signing_key);
    const auto segments = audit::list_segments(directory);
    audit::verify_options options;
    options.may_start_later = !segments.empty() && segments.front().number != 1;
    auto report = audit::verify_directory(directory, key.public_pem(), options);
    // The log is being written: a last line without its end is not there yet.
    if (report.what == audit::damage::torn_line) {
        report.what = audit::damage::none;
        report.file.clear();
        report.line = 0;
        report.text.clear();
    }
    if (options.may_start_later) report.note += "older files were archived";
    return report;
}

}  // namespace

audit_sources audit_sources_of(std::string directory, std::string signing_key) {
    audit_sources out;
    out.story = [directory](const audit::story_subject& s) {
        return audit::read_story(directory, s, soon());
    };
    out.bundle = [directory, signing_key](const audit::story_subject& s, policy::instant now) {
        const auto key = key_of(signing_key);
        return audit::make_bundle(
            directory, s, now, key.id(),
            [&key](std::string_view message) { return key.sign(message); }, soon());
    };
    out.verify = [directory, signing_key] { return verify_live(directory, signing_key); };
    out.insight = [directory](const insight_question& q) {
        return read_insight(directory, q, soon());
    };
    return out;
}

verification::state verification::now() const {
    const std::scoped_lock lock(mutex_);
    return state_;
}

bool verification::begin(policy::instant now) {
    const std::scoped_lock lock(mutex_);
    if (state_.running || (state_.report && now < state_.checked_at + fresh_for)) return false;
    state_.running = true;
    return true;
}

void verification::finish(std::optional<audit::verify_report> report, policy::instant now) {
    const std::scoped_lock lock(mutex_);
    state_.running = false;
    if (!report) return;
    state_.report = std::move(report);
    state_.checked_at = now;
}

}  // namespace sallyport::proxy::admin
