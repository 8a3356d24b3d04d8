// The first byte says who answers: a server that reads the messages as PostgreSQL does, at a pace
// of its own, or one that sends anything. Each further byte is one step.

#include <deque>
#include <string_view>
#include <vector>

#include "protocol/reply_queue.h"
#include "tests/fuzz/check.h"

namespace {

using namespace sallyport::protocol;
using sallyport::fuzz::require;
using type = reply_event::type;

constexpr unsigned repeated = 100;
constexpr std::size_t messages_max = 4096;  // enough for the queue to move what it keeps

bool is_copy(expect e) {
    return e == expect::copy_data || e == expect::copy_end;
}
bool ends_with_ready(expect e) {
    return e == expect::query || e == expect::function_call || e == expect::sync;
}

/// A queue and the books of what it may still say. Tags are 1, 2, 3 … in the order of sending.
class watched_queue {
  public:
    [[nodiscard]] const reply_queue& get() const { return queue_; }

    expected_reply push(expect what, reply_action action) {
        const expected_reply e{what, action, static_cast<std::uint32_t>(sent_.size() + 1)};
        sent_.push_back(e);
        const auto size = queue_.size();
        const bool skipping = queue_.skipping();
        const bool copying = queue_.copy_in();
        const bool counts = queue_.push(e);
        if (is_copy(what)) {
            require(queue_.size() == size, "COPY data is owed nothing");
            require(counts != (skipping || size == 0), "COPY data has its place behind something");
        } else {
            const bool ignored = what == expect::sync ? copying : skipping;
            require(counts == !ignored, "a message counts unless the server ignores it");
            require(queue_.size() == size + (counts ? 1 : 0), "what counts is owed");
            if (counts || what == expect::sync)
                ++open_;  // a Sync inside of COPY data may count yet
        }
        check();
        return e;
    }

    reply_event came(char tag, char status) {
        const auto size = queue_.size();
        const auto before = queue_.status();
        std::vector<expected_reply> dropped;
        const auto e =
            queue_.on_backend(tag, status, [&](const expected_reply& d) { dropped.push_back(d); });
        if (e.what == type::ready)
            require(queue_.status() == static_cast<transaction_status>(status), "status is told");
        else
            require(queue_.status() == before, "status comes from ReadyForQuery alone");
        require((tag == 'N' || tag == 'A' || tag == 'S') == (e.what == type::async),
                "asynchronous");
        const bool answers = e.what == type::progress || e.what == type::completed ||
                             e.what == type::failed || e.what == type::ready;
        require(answers || queue_.size() == size, "what answers nothing moves nothing");
        require(dropped.empty() || e.what == type::failed, "only an error drops");
        if (answers) check_sent(e.who);
        if (answers && is_last(e)) settle(e.who);
        for (const auto& d : dropped) {
            check_sent(d);
            require(d.tag != 0 && !is_copy(d.what) && d.what != expect::sync, "owed and no Sync");
            settle(d);
        }
        check();
        return e;
    }

  private:
    /// Nothing more comes for this message.
    static bool is_last(const reply_event& e) {
        if (e.what == type::ready) return true;
        return e.what != type::progress && !ends_with_ready(e.who.what);
    }

    void check_sent(const expected_reply& e) const {
        if (e.tag == 0) {  // of a Sync inside of COPY data, which is not kept by its tag
            require(e.what == expect::sync, "what has no tag is a Sync");
            return;
        }
        require(e.tag <= sent_.size(), "only what was sent is answered");
        require(e.tag > settled_, "in order, and nothing twice");
        const auto& s = sent_[e.tag - 1];
        require(s.what == e.what && s.action == e.action, "an answer is to what was sent");
    }

    void settle(const expected_reply& e) {
        if (e.tag != 0) settled_ = e.tag;
        require(open_ > 0, "no more answers than messages");
        --open_;
    }

    void check() {
        require(queue_.empty() == (queue_.size() == 0), "empty is size 0");
        require(queue_.size() <= open_, "no more is owed than was sent and not answered");
        if (queue_.size() < 64)  // it looks at each
            require(queue_.running() <= queue_.size(), "what runs is owed");
        require(!queue_.skipping() || queue_.empty(), "who skips to Sync owes nothing before it");
        require(!queue_.copy_in() || !queue_.empty(), "COPY data is read for something");
        require(queue_.lost() || !lost_, "lost stays lost");
        lost_ = queue_.lost();
    }

    reply_queue queue_;
    std::vector<expected_reply> sent_;
    std::uint32_t settled_ = 0;
    std::size_t open_ = 0;
    bool lost_ = false;
};

/// Reads messages one by one as PostgreSQL does; `how` decides what they come to.
class server {
  public:
    struct reply {
        char tag;
        char status;
        expected_reply to;
        type what;
    };
    std::deque<expected_reply> unread;
    std::deque<reply> wire;

    [[nodiscard]] bool over() const { return over_; }
    [[nodiscard]] bool copying() const { return copying_; }
    [[nodiscard]] bool skipping() const { return skipping_; }

    void read(unsigned how) {
        if (over_ || unread.empty()) return;
        const auto m = unread.front();
        unread.pop_front();
        how_ = how;
        if (copying_) return read_copy(m);
        if (skipping_ && m.what != expect::sync) return;
        skipping_ = false;
        const bool fails = how_ % 4 == 0;
        switch (m.what) {
            case expect::parse:
                return fails ? fail(m) : say("1", m, type::completed);
            case expect::bind:
                return fails ? fail(m) : say("2", m, type::completed);
            case expect::close:
                return fails ? fail(m) : say("3", m, type::completed);
            case expect::describe_statement:
                if (fails) return fail(m);
                say("t", m, type::progress);
                return say(how_ % 8 < 4 ? "T" : "n", m, type::completed);
            case expect::describe_portal:
                return fails ? fail(m) : say(how_ % 8 < 4 ? "T" : "n", m, type::completed);
            case expect::function_call:
                if (fails) return fail(m);
                say("V", m, type::progress);
                return ready(m);
            case expect::query:
                say("T", m, type::progress);
                [[fallthrough]];
            case expect::execute:
                return run(m);
            case expect::sync:
                return ready(m);
            default:
                return;  // COPY data outside of a COPY
        }
    }

  private:
    void say(std::string_view tags, const expected_reply& to, type what) {
        for (const char t : tags)
            wire.push_back({t, 0, to, what});
    }
    void ready(const expected_reply& to) {
        wire.push_back({'Z', "ITEI"[how_ / 4 % 4], to, type::ready});
    }
    void fail(const expected_reply& to) {
        say("E", to, type::failed);
        if (ends_with_ready(to.what))
            ready(to);
        else
            skipping_ = true;
    }
    void run(const expected_reply& m) {
        switch (how_ / 4 % 8) {
            case 0:
                return fail(m);
            case 1:
            case 2:
                say("G", m, type::progress);
                copying_ = true;
                running_ = m;
                return;
            case 3:
                say("Hdc", m, type::progress);
                break;
            case 4:
                if (m.what == expect::execute) return say("s", m, type::completed);
                [[fallthrough]];
            default:
                say("DD", m, type::progress);
        }
        done(m);
    }
    void done(const expected_reply& m) {
        say(how_ % 2 == 0 ? "C" : "I", m, type::completed);
        if (m.what == expect::query) ready(m);
    }
    void read_copy(const expected_reply& m) {
        if (m.what == expect::sync) return;
        if (!is_copy(m.what)) {
            over_ = true;  // FATAL: it cannot tell where the next message begins
            return;
        }
        const bool fails = how_ % 4 == 0;
        if (m.what == expect::copy_data && !fails) return;
        copying_ = false;
        if (fails) return fail(running_);
        if (how_ % 4 == 1 && running_.what == expect::query) {  // its next statement
            say("C", running_, type::completed);
            return run(running_);
        }
        done(running_);
    }

    bool over_ = false;
    bool copying_ = false;
    bool skipping_ = false;
    unsigned how_ = 0;
    expected_reply running_;
};

constexpr expect kinds[] = {
    expect::query,   expect::function_call, expect::parse,           expect::bind,
    expect::close,   expect::execute,       expect::describe_portal, expect::describe_statement,
    expect::sync,    expect::copy_data,     expect::copy_end,        expect::sync,
    expect::execute, expect::copy_data,     expect::query,           expect::sync};

class conversation {
  public:
    explicit conversation(bool honest) : honest_(honest) {}

    /// False: nothing can be said of what would come.
    bool step(unsigned what, unsigned how) {
        switch (what) {
            case 0:
                send(kinds[how % 16], static_cast<reply_action>(how / 16 % 3));
                break;
            case 1:
                for (unsigned n = how == 63 ? repeated : 1; n > 0; --n)
                    send(how == 63 ? last_ : kinds[how % 16], reply_action::forward);
                break;
            case 2:
                if (honest_)
                    server_.read(how);
                else
                    static_cast<void>(
                        queue_.came("123CDEGHITVWZcdnst"[how % 18], "ITEx"[how / 18]));
                break;
            default:
                if (honest_)
                    deliver(1 + how % 8);
                else
                    static_cast<void>(queue_.came(static_cast<char>(how * 4), 'I'));
        }
        return !queue_.get().lost() && !server_.over();
    }

    /// All is read and answered: both sides agree on where they are.
    void end() {
        while (!server_.unread.empty() && !server_.over())
            server_.read(3);
        while (!server_.wire.empty() && !queue_.get().lost())
            deliver(1);
        if (server_.over() || queue_.get().lost()) return;
        require(queue_.get().copy_in() == server_.copying(), "COPY data is read, or is not");
        require(queue_.get().empty() != server_.copying(), "all is answered");
        require(!queue_.get().skipping() || server_.skipping(), "who skips to Sync says so");
    }

  private:
    void send(expect what, reply_action action) {
        if (sent_++ >= messages_max) return;
        last_ = what;
        server_.unread.push_back(queue_.push(what, action));
    }

    void deliver(unsigned count) {
        for (; count > 0 && !server_.wire.empty() && !queue_.get().lost(); --count) {
            const auto r = server_.wire.front();
            server_.wire.pop_front();
            const auto e = queue_.came(r.tag, r.status);
            if (queue_.get().lost()) return;
            require(e.what == r.what, "what a reply means");
            require(e.who.what == r.to.what, "what a reply answers");
            require(r.to.what == expect::sync || e.who.tag == r.to.tag, "which one it answers");
        }
    }

    bool honest_;
    watched_queue queue_;
    server server_;
    std::size_t sent_ = 0;
    expect last_ = expect::sync;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool honest = data[0] % 2 == 0;
    conversation c(honest);
    for (std::size_t i = 1; i < size; ++i)
        if (!c.step(data[i] % 4, data[i] / 4) && honest) return 0;
    if (honest) c.end();
    return 0;
}
