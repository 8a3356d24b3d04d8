#include "protocol/reply_queue.h"

#include <algorithm>
#include <utility>

namespace sallyport::protocol {

namespace {

constexpr std::size_t kept_capacity_entries = 16;  // an idle session keeps at most this

[[nodiscard]] bool ends_with_ready(expect e) noexcept {
    return e == expect::query || e == expect::function_call || e == expect::sync;
}

[[nodiscard]] bool is_copy(expect e) noexcept {
    return e == expect::copy_data || e == expect::copy_end;
}

[[nodiscard]] bool is_owed(expect e) noexcept {
    return !is_copy(e) && e != expect::doubtful_syncs;
}

}  // namespace

const char* to_string(expect e) noexcept {
    switch (e) {
        case expect::query:
            return "query";
        case expect::function_call:
            return "function_call";
        case expect::parse:
            return "parse";
        case expect::bind:
            return "bind";
        case expect::close:
            return "close";
        case expect::describe_statement:
            return "describe_statement";
        case expect::describe_portal:
            return "describe_portal";
        case expect::execute:
            return "execute";
        case expect::sync:
            return "sync";
        case expect::copy_data:
            return "copy_data";
        case expect::copy_end:
            return "copy_end";
        case expect::doubtful_syncs:
            return "doubtful_syncs";
    }
    return "?";
}

void reply_queue::append(expected_reply e) {
    if (is_owed(e.what)) ++owed_;
    entries_.push_back(e);
}

bool reply_queue::push(expected_reply e) {
    if (is_copy(e.what)) return push_copy(e);
    if (e.what == expect::sync) return push_sync(e);
    if (skipping_) return false;
    if (skips_maybe_) lost_ = true;
    if (copying_) copy_ended_ = true;  // the server ends the session, or the COPY fails before
    unsynced_ = !ends_with_ready(e.what);
    append(e);
    return true;
}

std::size_t reply_queue::running() const noexcept {
    return static_cast<std::size_t>(std::count_if(
        entries_.begin() + static_cast<std::ptrdiff_t>(head_), entries_.end(), [](const auto& e) {
            return e.what == expect::query || e.what == expect::execute ||
                   e.what == expect::function_call;
        }));
}

bool reply_queue::push_copy(expected_reply e) {
    if (owed_ == 0 || skipping_) return false;  // nothing in flight that could read it
    const bool read = copying_ && !copy_ended_;
    if (read) doubt_syncs(std::exchange(tail_syncs_, 0));
    if (e.what == expect::copy_end) {
        if (read) copy_ended_ = true;
        append(e);
        return true;
    }
    if (read)
        copy_data_seen_ = true;
    else if (entries_.back().what != expect::copy_data)
        append(e);
    return true;
}

bool reply_queue::push_sync(expected_reply e) {
    if (copying_ && !copy_ended_) {
        if (copy_data_seen_) ++tail_syncs_;  // before any data, it is ignored for certain
        return false;
    }
    unsynced_ = false;
    skipping_ = false;
    skips_maybe_ = false;
    append(e);
    return true;
}

// Behind front(), whose COPY data they stand in.
void reply_queue::doubt_syncs(std::uint32_t count) {
    if (count == 0) return;
    if (head_ + 1 < entries_.size() && entries_[head_ + 1].what == expect::doubtful_syncs)
        entries_[head_ + 1].tag += count;
    else
        entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(head_) + 1,
                        {expect::doubtful_syncs, reply_action::forward, count});
}

void reply_queue::pop() noexcept {
    if (is_owed(front().what)) --owed_;
    ++head_;
    if (exhausted()) {
        head_ = 0;
        entries_.clear();
        if (entries_.capacity() > kept_capacity_entries)
            std::vector<expected_reply>().swap(entries_);
    } else if (head_ >= 1024 && head_ * 2 >= entries_.size()) {
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
}

void reply_queue::drop_unanswered(bool doubtful_too) noexcept {
    while (!exhausted() &&
           (is_copy(front().what) || (doubtful_too && front().what == expect::doubtful_syncs)))
        pop();
}

// After an error of the extended protocol: the server skips to the next Sync that it reads.
void reply_queue::drop_to_sync(bool of_copy, const on_dropped& dropped) {
    drop_unanswered(false);
    const bool doubtful =
        of_copy && !exhausted() && front().what == expect::doubtful_syncs && owed_ > 0;
    if (doubtful) {
        // Whichever Sync it is, nothing that could run may stand before the first certain one.
        for (auto i = head_; i < entries_.size() && entries_[i].what != expect::sync; ++i)
            lost_ = lost_ || is_owed(entries_[i].what);
        return;
    }
    if (of_copy && !exhausted() && front().what == expect::doubtful_syncs) {
        skips_maybe_ = true;
        unsynced_ = true;
        return;
    }
    while (!exhausted() && front().what != expect::sync) {
        if (is_owed(front().what) && dropped) dropped(front());
        pop();
    }
    skipping_ = exhausted();
    if (skipping_) unsynced_ = true;
}

// What the client sent blindly behind the COPY is read as COPY data now, up to CopyDone or
// CopyFail.
void reply_queue::copy_in_begins() {
    copying_ = true;
    copy_ended_ = false;
    copy_data_seen_ = false;
    tail_syncs_ = 0;
    std::uint32_t doubtful = 0;
    auto end = head_ + 1;
    for (; end < entries_.size() && !copy_ended_; ++end) {
        const auto what = entries_[end].what;
        if (what == expect::copy_data) {
            copy_data_seen_ = true;
            doubtful += std::exchange(tail_syncs_, 0);
        } else if (what == expect::sync) {
            --owed_;
            tail_syncs_ += copy_data_seen_ ? 1 : 0;
        } else {
            if (what == expect::copy_end) doubtful += std::exchange(tail_syncs_, 0);
            copy_ended_ = true;
            break;
        }
    }
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(head_) + 1,
                   entries_.begin() + static_cast<std::ptrdiff_t>(end));
    doubt_syncs(doubtful);
    const auto last = std::find_if(entries_.rbegin(), entries_.rend(),
                                   [](const expected_reply& e) { return is_owed(e.what); });
    unsynced_ = !ends_with_ready(last->what);  // front() at the latest
}

// All of the data was read: what stood between it was ignored.
void reply_queue::copy_in_succeeded() {
    copying_ = false;
    tail_syncs_ = 0;
    auto end = head_ + 1;
    while (end < entries_.size() && !is_owed(entries_[end].what)) {
        if (entries_[end++].what == expect::copy_end) break;
    }
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(head_) + 1,
                   entries_.begin() + static_cast<std::ptrdiff_t>(end));
}

// The data that the COPY failed over was sent before it failed, and so before the Syncs behind all
// of the data: these are answered.
void reply_queue::copy_in_failed() {
    copying_ = false;
    if (tail_syncs_ == 0) return;
    auto at = head_ + 1;
    if (at < entries_.size() && entries_[at].what == expect::doubtful_syncs) ++at;
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(at), tail_syncs_,
                    {expect::sync, reply_action::forward, 0});
    owed_ += std::exchange(tail_syncs_, 0);
}

reply_event reply_queue::on_error(const on_dropped& dropped) {
    const bool of_copy = copying_;
    if (of_copy) copy_in_failed();
    drop_unanswered(true);
    if (owed_ == 0) return {reply_event::type::stray, {}};
    const expected_reply who = front();
    if (ends_with_ready(who.what))
        return {reply_event::type::failed, who};  // its ReadyForQuery follows
    pop();
    drop_to_sync(of_copy, dropped);
    return {reply_event::type::failed, who};
}

reply_event reply_queue::on_ready(char status) {
    if (status != 'I' && status != 'T' && status != 'E') return {reply_event::type::violation, {}};
    if (copying_) return {reply_event::type::violation, {}};  // its COPY has ended in nothing
    drop_unanswered(false);
    if (exhausted()) return {reply_event::type::violation, {}};
    expected_reply who = front();
    if (who.what == expect::doubtful_syncs) {
        who = {expect::sync, reply_action::forward, 0};
        skips_maybe_ = false;
        auto next = head_ + 1;
        while (next < entries_.size() && is_copy(entries_[next].what))
            ++next;
        if (next < entries_.size() && entries_[next].what == expect::sync) {
            // One of the Syncs in a row is answered; the others are the doubtful ones now.
            entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(next));
            --owed_;
        } else if (--front().tag == 0) {
            pop();
        }
    } else if (ends_with_ready(who.what)) {
        pop();
    } else {
        return {reply_event::type::violation, {}};
    }
    status_ = static_cast<transaction_status>(status);
    return {reply_event::type::ready, who};
}

reply_event reply_queue::on_backend(char tag, char status, const on_dropped& dropped) {
    using type = reply_event::type;
    switch (tag) {
        case 'N':
        case 'A':
        case 'S':
            return {type::async, {}};
        case 'E':
            return on_error(dropped);
        case 'Z':
            return on_ready(status);
        default:
            break;
    }
    drop_unanswered(true);
    if (exhausted()) return {type::violation, {}};
    const expected_reply who = front();
    const bool runs = who.what == expect::query || who.what == expect::execute;
    const bool describes =
        who.what == expect::describe_portal || who.what == expect::describe_statement;
    switch (tag) {
        case 'D':
        case 'd':
        case 'c':
        case 'H':
            return {runs ? type::progress : type::violation, who};
        case 'G':
        case 'W':  // CopyBoth: the client's side of it is read like a COPY's
            if (!runs) return {type::violation, who};
            copy_in_begins();
            return {type::progress, who};
        case 'C':
        case 'I':
            if (!runs) return {type::violation, who};
            if (copying_) copy_in_succeeded();
            if (who.what == expect::execute) pop();
            return {type::completed, who};
        case 's':
            if (who.what != expect::execute || copying_) return {type::violation, who};
            pop();
            return {type::completed, who};
        case '1':
            if (who.what != expect::parse) return {type::violation, who};
            pop();
            return {type::completed, who};
        case '2':
            if (who.what != expect::bind) return {type::violation, who};
            pop();
            return {type::completed, who};
        case '3':
            if (who.what != expect::close) return {type::violation, who};
            pop();
            return {type::completed, who};
        case 't':
            return {who.what == expect::describe_statement ? type::progress : type::violation, who};
        case 'T':
        case 'n':
            if (describes) {
                pop();
                return {type::completed, who};
            }
            return {who.what == expect::query && tag == 'T' ? type::progress : type::violation,
                    who};
        case 'V':
            return {who.what == expect::function_call ? type::progress : type::violation, who};
        default:
            return {type::violation, who};
    }
}

}  // namespace sallyport::protocol
