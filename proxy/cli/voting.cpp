#include "proxy/cli/voting.h"

#include <iostream>
#include <string>

#include "proxy/cli/terminal.h"
#include "proxy/cli/views.h"
#include "proxy/visible.h"

namespace sallyport::proxy::cli {
namespace {

/// False: she has had enough.
bool vote(const login& in, const std::string& id) {
    const auto path = "/api/v1/holds/" + id;
    for (std::string said; ask_line("[a]pprove, [d]eny, [s]kip, [q]uit? ", said);) {
        if (said == "s") return true;
        if (said == "q") return false;
        std::string reason;
        if (said == "a") {
            if (!ask_line("Reason (may be empty): ", reason)) return false;
            std::cout << show_answer(in.ask("POST", path + "/approve", body({{"reason", reason}})),
                                     terminal());
            return true;
        }
        if (said == "d") {
            if (!ask_line("Reason: ", reason)) return false;
            if (reason.empty()) {
                std::cout << "A denial needs a reason: who asked will read it.\n";
                continue;
            }
            std::cout << show_answer(in.ask("POST", path + "/deny", body({{"reason", reason}})),
                                     terminal());
            return true;
        }
        std::cout << "Answer a, d, s or q.\n";
    }
    return false;
}

}  // namespace

void vote_one_by_one(const connection_options& o) {
    if (!somebody_is_there())
        throw failure(usage, "which hold? Without its number this asks, and there is no terminal",
                      "Give the number that `sallyport holds` shows.");
    const login in(o);
    const auto ids = hold_ids(in.ask("GET", "/api/v1/holds?state=pending"));
    if (ids.empty()) {
        std::cout << "Nothing waits for you.\n";
        return;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        std::cout << (i == 0 ? "" : "\n") << i + 1 << " of " << ids.size() << "\n";
        try {
            std::cout << show_hold(in.ask("GET", "/api/v1/holds/" + ids[i]), terminal());
            if (!vote(in, ids[i])) return;
        } catch (const failure& f) {
            // Somebody was quicker, or it is her own: the others still wait.
            if (f.status() != refused) throw;
            std::cout << visible(f.what(), line_breaks::keep) << "\n";
        }
    }
}

}  // namespace sallyport::proxy::cli
