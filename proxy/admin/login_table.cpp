#include "proxy/admin/login_table.h"

#include <array>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

namespace sallyport::proxy::admin {
namespace {

constexpr std::size_t token_bytes = 32;
constexpr std::string_view token_prefix = "sp_";  // so that secret scanners can know one
constexpr std::size_t token_chars_max = 128;

std::string base64url(const unsigned char* bytes, std::size_t size) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    unsigned bits = 0;
    unsigned count = 0;
    for (std::size_t i = 0; i < size; ++i) {
        bits = ((bits << 8U) | bytes[i]) & 0xFFFFU;
        for (count += 8; count >= 6; count -= 6)
            out += letters[(bits >> (count - 6)) & 63U];
    }
    if (count > 0) out += letters[(bits << (6 - count)) & 63U];
    return out;
}

std::string random_token() {
    std::array<unsigned char, token_bytes> raw{};
    if (RAND_bytes(raw.data(), static_cast<int>(raw.size())) != 1)
        throw std::runtime_error("the system has no random bytes");
    auto text = base64url(raw.data(), raw.size());
    OPENSSL_cleanse(raw.data(), raw.size());
    return text;
}

std::string sha256(std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    const std::basic_string<unsigned char> bytes(text.begin(), text.end());
    SHA256(bytes.data(), bytes.size(), digest.data());
    return {digest.begin(), digest.end()};
}

}  // namespace

bool same_secret(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

login_table::issued login_table::open(const std::string& user, policy::instant now) {
    issued out;
    auto token = std::string(token_prefix) + random_token();
    out.csrf = random_token();
    out.expires_at = now + login_life_max;
    const std::scoped_lock lock(mutex_);
    sweep(user, now);
    if (by_hash_.size() >= logins_max) return {};
    by_hash_.emplace(sha256(token),
                     entry{.user = user, .csrf = out.csrf, .opened_at = now, .seen_at = now});
    out.token = std::move(token);
    return out;
}

void login_table::sweep(const std::string& user, policy::instant now) {
    std::erase_if(by_hash_, [now](const auto& e) { return !e.second.live(now); });
    std::size_t mine = 0;
    auto oldest = by_hash_.end();
    for (auto at = by_hash_.begin(); at != by_hash_.end(); ++at) {
        if (at->second.user != user) continue;
        ++mine;
        if (oldest == by_hash_.end() || at->second.seen_at < oldest->second.seen_at) oldest = at;
    }
    if (mine >= logins_per_user_max) by_hash_.erase(oldest);
}

std::optional<login_table::login> login_table::find(std::string_view token, policy::instant now) {
    if (token.empty() || token.size() > token_chars_max) return std::nullopt;
    const std::scoped_lock lock(mutex_);
    // Looked up by hash: what the time of a look-up tells about hashes helps nobody to a token.
    const auto at = by_hash_.find(sha256(token));
    if (at == by_hash_.end()) return std::nullopt;
    if (!at->second.live(now)) {
        by_hash_.erase(at);
        return std::nullopt;
    }
    at->second.seen_at = now;
    return login{.user = at->second.user,
                 .csrf = at->second.csrf,
                 .expires_at = at->second.opened_at + login_life_max};
}

bool login_table::live(std::string_view token, policy::instant now) const {
    if (token.empty() || token.size() > token_chars_max) return false;
    const std::scoped_lock lock(mutex_);
    const auto at = by_hash_.find(sha256(token));
    return at != by_hash_.end() && at->second.live(now);
}

bool login_table::close(std::string_view token) {
    if (token.empty() || token.size() > token_chars_max) return false;
    const std::scoped_lock lock(mutex_);
    return by_hash_.erase(sha256(token)) > 0;
}

void login_table::close_all(const std::string& user) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(by_hash_, [&](const auto& e) { return e.second.user == user; });
}

std::size_t login_table::size() const {
    const std::scoped_lock lock(mutex_);
    return by_hash_.size();
}

}  // namespace sallyport::proxy::admin
