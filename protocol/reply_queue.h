#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

/// Which reply answers what.
///
/// The server answers in order, so what was sent is remembered in order. Nothing here simulates the
/// server's state: the transaction status comes from ReadyForQuery, the fate of a message from its
/// reply.
namespace sallyport::protocol {

/// What a forwarded frontend message makes the server answer.
enum class expect : std::uint8_t {
    query,               ///< any number of results, then ReadyForQuery
    function_call,       ///< FunctionCallResponse or error, then ReadyForQuery
    parse,               ///< ParseComplete
    bind,                ///< BindComplete
    close,               ///< CloseComplete
    describe_statement,  ///< ParameterDescription, then RowDescription or NoData
    describe_portal,     ///< RowDescription or NoData
    execute,             ///< rows, then CommandComplete, EmptyQueryResponse or PortalSuspended
    sync,                ///< ReadyForQuery, also after an error
    copy_data,           ///< CopyData: no reply; only its place matters
    copy_end,            ///< CopyDone or CopyFail: no reply; only its place matters
    doubtful_syncs  ///< the queue's own: Syncs inside of COPY data, see below; `tag` counts them
};
[[nodiscard]] const char* to_string(expect e) noexcept;

/// What the client gets of the replies to one message.
enum class reply_action : std::uint8_t {
    forward,   ///< as they come
    suppress,  ///< nothing: the message was ours
    rewrite    ///< its ErrorResponse in our words, the rest as it comes
};

enum class transaction_status : std::uint8_t { idle = 'I', open = 'T', failed = 'E' };

struct expected_reply {
    expect what = expect::query;
    reply_action action = reply_action::forward;
    std::uint32_t tag = 0;        ///< the owner's; 0 = none
    std::uint32_t statement = 0;  ///< likewise: its number of what runs
};

/// What one backend message meant.
struct reply_event {
    enum class type : std::uint8_t {
        async,      ///< NoticeResponse, NotificationResponse, ParameterStatus: answers nothing
        progress,   ///< part of the answer to `who`
        completed,  ///< `who` is answered; for a query: one of its statements is
        failed,     ///< ErrorResponse for `who`
        ready,      ///< ReadyForQuery: `who` (sync, query, function_call) is over
        stray,      ///< an error that answers nothing: the server speaks for itself (FATAL)
        violation   ///< not possible here: the server does not speak the protocol; close
    } what = type::async;
    expected_reply who;
};

/// Owner: one per upstream connection, on its worker. Not thread-safe.
///
/// COPY data. A server that reads COPY data ignores Sync, and outside of COPY it ignores CopyData,
/// CopyDone and CopyFail. Where the client's COPY data ends is known from its own messages; where
/// the server stopped reading it is not: if the COPY fails, Syncs between the data were read before
/// the fault (and ignored) or after it (and answered). Those with data on both sides stay in the
/// queue as doubtful: a ReadyForQuery takes one, any other reply shows that none of them is
/// answered any more.
class reply_queue {
  public:
    /// Called for each entry that will never be answered because an earlier one failed (the server
    /// skips to Sync).
    using on_dropped = std::function<void(const expected_reply&)>;

    /// Notes that a message goes upstream. False: the server will discard it (it skips to Sync, or
    /// ignores Sync while it reads COPY data, or COPY data outside of COPY): nothing is expected.
    bool push(expected_reply e);

    /// Takes the tag of a backend message and, for ReadyForQuery, its status byte (else 0).
    reply_event on_backend(char tag, char status, const on_dropped& dropped);

    /// Nothing is owed for certain.
    [[nodiscard]] bool empty() const noexcept { return owed_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return owed_; }
    /// Of them, those that run something: queries, executions, function calls.
    [[nodiscard]] std::size_t running() const noexcept;
    /// The server discards everything up to the next Sync.
    [[nodiscard]] bool skipping() const noexcept { return skipping_; }
    /// Extended-protocol messages were sent after the last Sync (or Query).
    [[nodiscard]] bool unsynced() const noexcept { return unsynced_; }
    /// The server is reading COPY data and the client has not ended it.
    [[nodiscard]] bool copy_in() const noexcept { return copying_ && !copy_ended_; }
    /// A COPY of the extended protocol failed, and whether the server skips what was sent behind it
    /// depends on doubtful Syncs: no reply can be matched from here on, the session must end.
    [[nodiscard]] bool lost() const noexcept { return lost_; }
    /// As of the last ReadyForQuery; says nothing of what is in flight.
    [[nodiscard]] transaction_status status() const noexcept { return status_; }
    void set_status(transaction_status s) noexcept { status_ = s; }

  private:
    [[nodiscard]] expected_reply& front() noexcept { return entries_[head_]; }
    [[nodiscard]] bool exhausted() const noexcept { return head_ == entries_.size(); }
    void append(expected_reply e);
    bool push_sync(expected_reply e);
    bool push_copy(expected_reply e);
    void doubt_syncs(std::uint32_t count);
    void pop() noexcept;
    void drop_unanswered(bool doubtful_too) noexcept;
    void drop_to_sync(bool of_copy, const on_dropped& dropped);
    void copy_in_begins();
    void copy_in_succeeded();
    void copy_in_failed();
    reply_event on_error(const on_dropped& dropped);
    reply_event on_ready(char status);

    std::vector<expected_reply> entries_;
    std::size_t head_ = 0;
    std::size_t owed_ = 0;  ///< entries that are answered for certain
    transaction_status status_ = transaction_status::idle;
    bool skipping_ = false;
    bool unsynced_ = false;
    bool copying_ = false;     ///< the server said that it reads COPY data for front()
    bool copy_ended_ = false;  ///< … and the client has sent what ends it
    bool copy_data_seen_ = false;
    std::uint32_t tail_syncs_ = 0;  ///< sent behind the COPY data, up to now
    bool skips_maybe_ = false;      ///< the server skips to Sync unless a doubtful one is answered
    bool lost_ = false;
};

}  // namespace sallyport::protocol
