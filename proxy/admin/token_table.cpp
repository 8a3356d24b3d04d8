#include "proxy/admin/token_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "proxy/admin/login_table.h"
#include "proxy/auth/base64url.h"

namespace sallyport::proxy::admin {
namespace {

constexpr std::size_t secret_bytes = 32;
constexpr std::size_t bearer_chars_max = 128;

std::string hex_sha256(std::string_view text) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::string out;
    for (const unsigned byte : digest) {
        out += digits[byte >> 4U];
        out += digits[byte & 15U];
    }
    return out;
}

}  // namespace

token_secret new_token_secret() {
    std::string raw(secret_bytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(raw.size())) != 1)
        throw std::runtime_error("the system has no random bytes");
    token_secret out;
    out.text = auth::to_base64url(raw);
    OPENSSL_cleanse(raw.data(), raw.size());
    out.sha256 = hex_sha256(out.text);
    return out;
}

std::string token_text(std::uint64_t id, std::string_view secret) {
    return std::string(api_token_prefix) + std::to_string(id) + "_" + std::string(secret);
}

void token_table::load(std::vector<store::api_token> all) {
    const std::scoped_lock lock(mutex_);
    by_id_.clear();
    for (auto& t : all) {
        const auto id = t.id;
        by_id_[id].token = std::move(t);
    }
}

void token_table::add(store::api_token t) {
    const std::scoped_lock lock(mutex_);
    const auto id = t.id;
    by_id_[id].token = std::move(t);
}

void token_table::set_revoked(std::uint64_t id, const std::string& by, policy::instant at) {
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second.token.revoked_at != policy::instant{}) return;
    found->second.token.revoked_at = at;
    found->second.token.revoked_by = by;
}

std::optional<store::api_token> token_table::find(std::string_view bearer, policy::instant now) {
    if (bearer.size() > bearer_chars_max || !bearer.starts_with(api_token_prefix))
        return std::nullopt;
    bearer.remove_prefix(api_token_prefix.size());
    std::uint64_t id = 0;
    const auto number = std::from_chars(bearer.data(), bearer.data() + bearer.size(), id);
    const auto digits = static_cast<std::size_t>(number.ptr - bearer.data());
    if (number.ec != std::errc{} || digits >= bearer.size() || bearer[digits] != '_')
        return std::nullopt;
    const auto given = hex_sha256(bearer.substr(digits + 1));
    static const std::string nobodys(2 * SHA256_DIGEST_LENGTH, 'x');
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    const bool known = found != by_id_.end();
    const bool same = same_secret(known ? found->second.token.secret_sha256 : nobodys, given);
    if (!known || !same || !found->second.live(now)) return std::nullopt;
    found->second.token.used_at = std::max(found->second.token.used_at, now);
    return found->second.token;
}

bool token_table::live(std::uint64_t id, policy::instant now) const {
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    return found != by_id_.end() && found->second.live(now);
}

std::optional<store::api_token> token_table::get(std::uint64_t id) const {
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? std::nullopt : std::optional(found->second.token);
}

std::vector<store::api_token> token_table::list(const std::string& owner, policy::instant now) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(by_id_, [now](const auto& e) { return now >= e.second.token.expires_at; });
    std::vector<store::api_token> out;
    for (const auto& [id, e] : by_id_)
        if (owner.empty() || e.token.owner == owner) out.push_back(e.token);
    return out;
}

std::size_t token_table::live_of(const std::string& owner, policy::instant now) const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(std::count_if(by_id_.begin(), by_id_.end(), [&](const auto& e) {
        return e.second.token.owner == owner && e.second.live(now);
    }));
}

std::size_t token_table::size() const {
    const std::scoped_lock lock(mutex_);
    return by_id_.size();
}

std::vector<std::pair<std::uint64_t, policy::instant>> token_table::uses_to_note(
    policy::instant now) {
    std::vector<std::pair<std::uint64_t, policy::instant>> out;
    const std::scoped_lock lock(mutex_);
    if (now < noted_at_ + api_token_note_interval) return out;
    noted_at_ = now;
    for (auto& [id, e] : by_id_) {
        if (e.token.used_at <= e.noted_at) continue;
        e.noted_at = e.token.used_at;
        out.emplace_back(id, e.token.used_at);
    }
    return out;
}

}  // namespace sallyport::proxy::admin
