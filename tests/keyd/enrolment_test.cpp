#include "enrolment.hpp"

#include "fixture.hpp"

using namespace test;

namespace {

struct Desk {
  test::Authority ca, other_ca;
  std::vector<keyd::PoolRules> pools{{"web", {}}, {"mail", {}}};

  std::string refusal(const keyd::Enrol& request, Moment now = noon) const {
    const auto checked = check(request, now);
    return checked ? "" : checked.error();
  }
  tl::expected<keyd::Enrolment, std::string> check(const keyd::Enrol& request,
                                                   Moment now = noon) const {
    const keyd::EnrolmentRules rules{pem_of(ca.certificate.get()), &pools,
                                     crypto::signer_public(signer_seed())};
    return keyd::check_enrolment(request, rules, now);
  }
};

bool says(const std::string& text, const std::string& part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("enrolment") {
  TEST_CASE("a member of the pool enrols under the name in its certificate") {
    const Desk desk;
    const Server web1(desk.ca, "CN does not matter", "ticket:member:web:web1");

    const auto enrolment = desk.check(web1.enrol("web", noon));

    REQUIRE(enrolment.has_value());
    CHECK(enrolment->member == "web1");
    CHECK(enrolment->sealing_key == crypto::box_public(web1.sealing_key));
    CHECK(enrolment->fingerprint == crypto::fingerprint(web1.certificate.get()));
    CHECK(enrolment->time == noon);
  }

  TEST_CASE("promise 17: no other role enrols, and no other pool's member") {
    const Desk desk;
    struct {
      const char* role;
      const char* why;
    } const peers[] = {
        {"ticket:keyd", "not that of a member"},
        {"ticket:relay:edge", "not that of a member"},
        {"ticket:member:mail:web1", "member of the pool mail"},
        {"", "no ticket: role"},
        {"ticket:member:web:a,URI:ticket:member:web:b", "two ticket: roles"},
        {"ticket:member:web:web1,URI:ticket:keyd", "two ticket: roles"},
    };
    for (const auto& peer : peers) {
      CAPTURE(peer.role);
      const Server server(desk.ca, "web1", peer.role);
      const auto refused = desk.refusal(server.enrol("web", noon));
      CHECK(says(refused, peer.why));
      CHECK(says(refused, crypto::fingerprint(server.certificate.get())));  // names who it was
    }
  }

  TEST_CASE("promise 17: another pool's CA makes no member of this one") {
    const Desk desk;
    const Server web1(desk.other_ca, "web1", "ticket:member:web:web1");
    CHECK(desk.refusal(web1.enrol("web", noon)) != "");
  }

  TEST_CASE("a certificate that has ended enrols no longer") {
    const Desk desk;
    const Server web1(desk.ca, "web1", "ticket:member:web:web1");
    const sys_seconds later{seconds(1'800'000'100)};
    CHECK(says(desk.refusal(web1.enrol("web", later), later), "expired"));
  }

  TEST_CASE("the time in it may be ten minutes from ours") {
    const Desk desk;
    const Server web1(desk.ca, "web1", "ticket:member:web:web1");
    struct {
      seconds apart;
      bool fine;
    } const times[] = {{-601s, false}, {-600s, true}, {0s, true}, {600s, true}, {601s, false}};
    for (const auto& time : times) {
      CAPTURE(time.apart.count());
      CHECK((desk.refusal(web1.enrol("web", noon + time.apart)) == "") == time.fine);
    }
    auto wild = web1.enrol("web", noon);
    for (const auto time : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                            std::numeric_limits<std::int64_t>::max()}) {
      wild.time = time;
      CHECK(desk.refusal(wild) == "time is no time");
    }
  }

  TEST_CASE("every signed field is signed") {
    const Desk desk;
    const Server web1(desk.ca, "web1", "ticket:member:web:web1");
    const Server rogue(desk.ca, "web2", "ticket:member:web:web2");
    const auto good = web1.enrol("web", noon);
    REQUIRE(desk.refusal(good) == "");

    auto other_time = good;
    other_time.time += 1;
    CHECK(says(desk.refusal(other_time), "signature"));
    auto other_key = good;
    other_key.sealing_key = base64url(crypto::box_public(rogue.sealing_key));
    CHECK(says(desk.refusal(other_key), "signature"));
    auto other_signer = good;
    other_signer.chain = pem_of(rogue.certificate.get());
    CHECK(says(desk.refusal(other_signer), "signature"));
    auto other_authority = good;
    const auto message = wire::enrol_message({}, "web", crypto::box_public(web1.sealing_key), noon);
    other_authority.signature = base64url(crypto::sign_with(web1.key.get(), message));
    CHECK(says(desk.refusal(other_authority), "signature"));
  }

  TEST_CASE("what is no enrolment at all is refused in words") {
    const Desk desk;
    const Server web1(desk.ca, "web1", "ticket:member:web:web1");
    const auto good = web1.enrol("web", noon);

    auto bad = good;
    bad.chain = "-----BEGIN CERTIFICATE-----";
    CHECK(says(desk.refusal(bad), "chain"));
    bad = good;
    bad.signature = "!";
    CHECK(says(desk.refusal(bad), "signature is not base64url"));
    bad = good;
    bad.sealing_key = "AAAA";
    CHECK(says(desk.refusal(bad), "32 bytes"));
  }

  TEST_CASE("promise 11: a sealing key that anybody could open is refused") {
    const Desk desk;
    const Server web1(desk.ca, "web1", "ticket:member:web:web1");
    auto zero = web1.enrol("web", noon);
    zero.sealing_key = base64url(ByteArray<32>{});
    CHECK(says(desk.refusal(zero), "no key"));
  }

  TEST_CASE("a rule makes a foreign certificate one member, and never two") {
    Desk desk;
    const Server foreign(desk.ca, "foreign", "");
    const auto fingerprint = crypto::fingerprint(foreign.certificate.get());

    desk.pools[0].rules = {{"web7", fingerprint, "", ""}};
    CHECK(desk.check(foreign.enrol("web", noon))->member == "web7");
    desk.pools[0].rules = {{"web7", "", "CN=foreign", ""}};
    CHECK(desk.check(foreign.enrol("web", noon))->member == "web7");

    desk.pools[1].rules = {{"mail1", fingerprint, "", ""}};
    CHECK(says(desk.refusal(foreign.enrol("web", noon)), "two roles"));

    desk.pools[1].rules.clear();
    const Server keyd(desk.ca, "foreign", "ticket:keyd");
    CHECK(says(desk.refusal(keyd.enrol("web", noon)), "two roles"));
  }
}
