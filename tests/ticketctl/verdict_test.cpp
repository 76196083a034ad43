// Verdicts from what a client saw; check_test.cpp provokes each with real servers.
#include "verdict.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace ticketctl;

namespace {

Shake seen(const std::string& key_name) {
  Shake shake;
  shake.outcome = Shake::Outcome::ok;
  shake.key_name = key_name;
  shake.tickets = key_name.empty() ? 0 : 1;
  shake.digest = "SHA256";
  shake.certificate = "c1";
  return shake;
}

Shake with(Shake shake, void (*change)(Shake&)) {
  change(shake);
  return shake;
}

Shake failed(Shake::Outcome outcome) {
  Shake shake;
  shake.outcome = outcome;
  return shake;
}

constexpr auto any = TlsVersion::v1_3;

}  // namespace

TEST_SUITE("verdict") {
  TEST_CASE("a ticket that was a full handshake is explained by what differs") {
    const auto one = seen("aa");
    const struct {
      Shake source, target;
      bool other_way;
      Verdict verdict;
      const char* when;
    } cases[] = {
        {one, seen("bb"), false, Verdict::other_key, "key names differ"},
        {one, seen("bb"), true, Verdict::behind, "key names differ, it resumes the other way"},
        {one, one, false, Verdict::other_context, "nothing that a client sees differs"},
        {one, one, true, Verdict::other_context, "nor then"},
        {one, with(one, [](Shake& s) { s.certificate = "c2"; }), false, Verdict::other_certificate,
         "certificates differ"},
        {one, with(one, [](Shake& s) { s.asks_certificate = true; }), false, Verdict::other_policy,
         "one asks for client certificates"},
        {one, with(one, [](Shake& s) { s.digest = "SHA384"; }), false, Verdict::other_cipher,
         "hashes differ"},
        {with(one, [](Shake& s) { s.digest = "SHA384"; }), seen("bb"), false, Verdict::other_cipher,
         "hashes differ, keys too: no key would help"},
        {one, seen(""), false, Verdict::tickets_off, "the target sends no tickets"},
        {seen(""), one, false, Verdict::tickets_off, "what was offered was an id"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.when);
      const auto full = seen("cc");
      CHECK(judge({c.source, c.target, &full, c.other_way}, any) == c.verdict);
    }
  }

  TEST_CASE("the hash of the cipher suite ties tickets of TLS 1.3 alone") {
    const auto one = seen("aa");
    const auto other = with(one, [](Shake& s) { s.digest = "SHA384"; });
    CHECK(judge({one, other, &other}, TlsVersion::v1_2) == Verdict::other_context);
  }

  TEST_CASE("a server that fails explains its whole row and column") {
    using enum Shake::Outcome;
    const auto fine = seen("aa");
    for (const auto outcome : {unreachable, silent, closed, not_tls, not_offered,
                               client_certificate, no_such_name, untrusted, alert}) {
      CAPTURE(static_cast<int>(outcome));
      const auto broken = failed(outcome);
      CHECK(judge({broken, fine, nullptr}, any) == verdict_of(outcome));
      CHECK(judge({fine, broken, nullptr}, any) == verdict_of(outcome));
      CHECK(is_of_server(verdict_of(outcome)));
    }
  }

  TEST_CASE("what came of the offer itself") {
    const auto fine = seen("aa");
    const auto resumed = with(fine, [](Shake& s) { s.resumed = true; });
    const auto misdirected = with(resumed, [](Shake& s) { s.http_status = 421; });
    const auto broken = failed(Shake::Outcome::alert), gone = failed(Shake::Outcome::unreachable);

    CHECK(judge({fine, fine, &resumed}, any) == Verdict::resumes);
    CHECK(judge({fine, seen("bb"), &resumed}, any) == Verdict::resumes);  // it holds older keys
    CHECK(judge({fine, fine, &misdirected}, any) == Verdict::misdirected);
    // who answers so to everybody says nothing of the session
    CHECK(judge({fine, misdirected, &misdirected}, any) == Verdict::resumes);
    CHECK(judge({fine, fine, &broken}, any) == Verdict::ticket_alert);
    CHECK(judge({fine, fine, &gone}, any) == Verdict::unreachable);
    CHECK(judge({fine, fine, nullptr}, any) == Verdict::tickets_off);
  }

  TEST_CASE("names are apart when a ticket that is good under one is not under the other") {
    const auto full = seen("aa");
    const auto resumed = with(full, [](Shake& s) { s.resumed = true; });
    const auto misdirected = with(resumed, [](Shake& s) { s.http_status = 421; });
    const auto alert = failed(Shake::Outcome::alert), silent = failed(Shake::Outcome::silent);

    CHECK(judge_apart(&full, true) == Apart::yes);
    CHECK(judge_apart(&full, false) == Apart::unknown);  // it is good for nothing at all
    CHECK(judge_apart(&resumed, true) == Apart::no);
    CHECK(judge_apart(&resumed, false) == Apart::no);
    CHECK(judge_apart(&misdirected, true) == Apart::refused);
    CHECK(judge_apart(&alert, true) == Apart::refused);
    CHECK(judge_apart(&silent, true) == Apart::unknown);
    CHECK(judge_apart(nullptr, true) == Apart::unknown);
  }

  TEST_CASE("each verdict has a word, a cell and a sentence of its own") {
    std::set<std::string> words, cells, sentences;
    for (int i = 0; i <= static_cast<int>(Verdict::alert); ++i) {
      words.insert(to_text(Verdict(i)));
      cells.insert(to_cell(Verdict(i)));
      sentences.insert(explain(Verdict(i), any));
    }
    const auto count = static_cast<std::size_t>(Verdict::alert) + 1;
    CHECK(words.size() == count);
    CHECK(cells.size() == count);
    CHECK(sentences.size() == count);
  }
}
