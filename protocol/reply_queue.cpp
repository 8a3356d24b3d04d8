#include "protocol/reply_queue.h"

#include <algorithm>

namespace sallyport::protocol {

namespace {

constexpr std::size_t kept_capacity_entries = 16;  // an idle session keeps at most this

[[nodiscard]] bool ends_with_ready(expect e) noexcept {
    return e == expect::query || e == expect::function_call || e == expect::sync;
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
        case expect::copy_end:
            return "copy_end";
    }
    return "?";
}

bool reply_queue::push(expected_reply e) {
    if (e.what == expect::copy_end) {
        if (copy_in_) {
            copy_in_ = false;  // the server will answer the COPY itself now
            return false;
        }
        if (empty()) return false;  // nothing in flight that could read it: the server ignores it
        entries_.push_back(e);
        return true;
    }
    if (e.what == expect::sync) {
        unsynced_ = false;
        if (copy_in_) {
            ++ignored_syncs_;
            return false;
        }
        skipping_ = false;
        entries_.push_back(e);
        return true;
    }
    if (skipping_) return false;
    unsynced_ = !ends_with_ready(e.what);
    entries_.push_back(e);
    return true;
}

std::size_t reply_queue::running() const noexcept {
    return static_cast<std::size_t>(std::count_if(
        entries_.begin() + static_cast<std::ptrdiff_t>(head_), entries_.end(), [](const auto& e) {
            return e.what == expect::query || e.what == expect::execute ||
                   e.what == expect::function_call;
        }));
}

void reply_queue::pop() noexcept {
    ++head_;
    if (head_ == entries_.size()) {
        head_ = 0;
        entries_.clear();
        if (entries_.capacity() > kept_capacity_entries)
            std::vector<expected_reply>().swap(entries_);
    } else if (head_ >= 1024 && head_ * 2 >= entries_.size()) {
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
}

void reply_queue::drop_copy_ends() noexcept {
    while (!empty() && front().what == expect::copy_end)
        pop();
}

void reply_queue::drop_to_sync(const on_dropped& dropped) {
    while (!empty() && front().what != expect::sync) {
        if (front().what != expect::copy_end && dropped) dropped(front());
        pop();
    }
    skipping_ = empty();
    if (skipping_) unsynced_ = true;
}

void reply_queue::copy_in_begins() {
    copy_in_ = true;
    // What the client sent blindly behind the COPY: the server reads it as COPY data now. It
    // ignores Sync there, up to the client's CopyDone or CopyFail.
    for (std::size_t i = head_ + 1; i < entries_.size();) {
        if (entries_[i].what == expect::copy_end) {
            entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
            copy_in_ = false;
            return;
        }
        if (entries_[i].what == expect::sync) {
            ++ignored_syncs_;
            entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
            continue;
        }
        ++i;
    }
}

reply_event reply_queue::on_error(const on_dropped& dropped) {
    copy_in_ = false;
    drop_copy_ends();
    if (empty()) return {reply_event::type::stray, {}};
    const expected_reply who = front();
    if (ends_with_ready(who.what))
        return {reply_event::type::failed, who};  // its ReadyForQuery follows
    pop();
    drop_to_sync(dropped);
    return {reply_event::type::failed, who};
}

reply_event reply_queue::on_ready(char status) {
    if (status != 'I' && status != 'T' && status != 'E') return {reply_event::type::violation, {}};
    drop_copy_ends();
    if (empty() || !ends_with_ready(front().what)) {
        if (ignored_syncs_ == 0) return {reply_event::type::violation, {}};
        --ignored_syncs_;  // a Sync sent into a COPY that had failed already
        status_ = static_cast<transaction_status>(status);
        return {reply_event::type::ready, {expect::sync, reply_action::forward, 0}};
    }
    const expected_reply who = front();
    pop();
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
    drop_copy_ends();
    if (empty()) return {type::violation, {}};
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
            copy_in_ = false;
            ignored_syncs_ = 0;
            if (who.what == expect::execute) pop();
            return {type::completed, who};
        case 's':
            if (who.what != expect::execute) return {type::violation, who};
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
