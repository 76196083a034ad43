// What a token costs its redeemer and its issuer, in alternating slices with the bare RSA
// operation under it. Redeeming begins with the header's text and ends with the claim;
// three epochs are open, and their tables hold ten million entries together.
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

#include "replay/table.hpp"
#include "setting.hpp"
#include "token/client.hpp"
#include "token/header.hpp"
#include "token/issuer.hpp"
#include "token/redeemer.hpp"

namespace bench {

namespace {

using namespace ticket;
using namespace ticket::token;
using replay::Table;
using replay::Verdict;

constexpr int slices = 31;
const sys_seconds noon{seconds(1'800'000'000)};
const TokenTypes types(TokenTypes::ristretto_draft_code);

template <class Work>
double slice(int times, Work work) {
  bool well = true;
  const auto began = thread_time();
  for (int i = 0; i < times; ++i) well &= work(i);
  const auto took = thread_time() - began;
  if (!well) throw std::runtime_error("a token operation failed");
  return took / times;
}

constexpr const char* origin = "origin.example";
constexpr std::size_t open_epochs = 3, entries = 10'000'000 / open_epochs;

Bytes challenge_of(TokenType type, std::size_t epoch = 0) {
  const ByteArray<32> context{static_cast<std::byte>(epoch)};
  return *write_challenge({type, "issuer.example", context, origin}, types);
}

// The RSA operations alone, without padding, on a prepared context.
class BareRsa {
 public:
  explicit BareRsa(const IssuerKey& key) {
    const auto secret = key.secret();
    const auto* at = raw(secret.expose());
    key_.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(secret.size())));
    sign_.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
    recover_.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
    if (EVP_PKEY_sign_init(sign_.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(sign_.get(), RSA_NO_PADDING) != 1 ||
        EVP_PKEY_verify_recover_init(recover_.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(recover_.get(), RSA_NO_PADDING) != 1) {
      throw std::runtime_error("OpenSSL took no RSA without padding");
    }
    in_.fill(1);
    in_[0] = 0;
  }
  bool private_operation() {
    std::size_t size = out_.size();
    return EVP_PKEY_sign(sign_.get(), out_.data(), &size, in_.data(), in_.size()) == 1;
  }
  bool public_operation() {
    std::size_t size = out_.size();
    return EVP_PKEY_verify_recover(recover_.get(), out_.data(), &size, in_.data(), in_.size()) == 1;
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  };
  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<EVP_PKEY_CTX, Free> sign_, recover_;
  std::array<unsigned char, 256> in_, out_;
};

// A redeemer of blind RSA with its full tables, and tokens of all its epochs to present.
class Redeeming {
 public:
  explicit Redeeming(const IssuerKey& key, std::size_t tokens) : redeemer_(types, epochs(key)) {
    for (const auto& epoch : redeemer_.epochs()) {
      tables_.push_back(Table::make({epoch.id, epoch.begins}, {entries}, noon - seconds(60)));
      fill(tables_.back(), entries - tokens);
    }
    for (std::size_t i = 0; i < tokens; ++i) {
      const auto challenge = challenge_of(TokenType::blind_rsa, i % open_epochs);
      const auto withdrawal = Withdrawal::begin(challenge, key.public_key(), types);
      const auto request = parse_request(withdrawal->request(), Form::single, types);
      fields_.push_back(
          write_authorization(withdrawal->finish(*key.issue(*request, Form::single))->front()));
    }
  }

  // As a proxy does it, from the field's text to the verdict.
  Verdict redeem(std::size_t number) {
    const auto token = parse_authorization(fields_[number]);
    if (!token) return Verdict::unknown;
    const auto prospect = redeemer_.look(*token, origin, noon);
    if (!prospect) return Verdict::unknown;
    auto& table = tables_[static_cast<std::size_t>(prospect->epoch - redeemer_.epochs().data())];
    if (table.holds(prospect->location)) return Verdict::replay;
    if (!Redeemer::verify(*prospect)) return Verdict::unknown;
    return table.claim(prospect->location, {});
  }

 private:
  static std::vector<RedeemerEpoch> epochs(const IssuerKey& key) {
    std::vector<RedeemerEpoch> epochs;
    for (std::size_t i = 0; i < open_epochs; ++i) {
      epochs.push_back({{static_cast<std::byte>(i)},
                        noon,
                        noon + seconds(3600),
                        {},
                        {challenge_of(TokenType::blind_rsa, i)},
                        crypto::HmacSha256(as_bytes("location key " + std::to_string(i)))});
      epochs[i].keys.push_back(std::move(*RedeemerKey::blind_rsa(key.public_key())));
    }
    return epochs;
  }

  static void fill(Table& table, std::size_t count) {
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t words[] = {random(), random()};
      replay::Location location{};
      std::ranges::copy(std::as_bytes(std::span(words)), location.begin());
      table.claim(location, {});
    }
  }

  Redeemer redeemer_;
  std::vector<Table> tables_;  // one an epoch
  std::vector<std::string> fields_;
};

void note_ratio(Figures& figures, const char* name, const std::vector<double>& ours,
                const std::vector<double>& bare) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / bare[i]);
  note(figures, name, ratios);
}

void measure_rsa(Figures& figures) {
  constexpr int redeems = 100, refusals = 4000, issues = 20;
  const auto key = IssuerKey::generate(TokenType::blind_rsa);
  BareRsa bare(key);
  Redeeming redeeming(key, slices * redeems);
  const auto withdrawal =
      Withdrawal::begin(challenge_of(TokenType::blind_rsa), key.public_key(), types);
  Issuer issuer(types);
  if (!issuer.add(std::move(*IssuerKey::load(TokenType::blind_rsa, key.secret().expose())))) {
    throw std::runtime_error("the issuer took no key");
  }

  std::vector<double> redeem, public_operation, refuse, issue, private_operation;
  for (int s = 0; s < slices; ++s) {
    public_operation.push_back(slice(redeems, [&](int) { return bare.public_operation(); }));
    redeem.push_back(slice(redeems, [&](int i) {
      return redeeming.redeem(static_cast<std::size_t>(s * redeems + i)) == Verdict::fresh;
    }));
    private_operation.push_back(slice(issues, [&](int) { return bare.private_operation(); }));
    issue.push_back(slice(issues, [&](int) {
      return issuer.answer(withdrawal->request(), Form::single).has_value();
    }));
  }
  // all are spent; in an order in which none is still near from the time before
  std::vector<std::size_t> order(static_cast<std::size_t>(slices * redeems));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(2));
  for (int s = 0; s < slices; ++s) {
    refuse.push_back(slice(refusals, [&](int i) {
      const auto at = static_cast<std::size_t>(s * refusals + i) % order.size();
      return redeeming.redeem(order[at]) == Verdict::replay;
    }));
  }
  note_ratio(figures, "redeem_type2_vs_rsa", redeem, public_operation);
  note_ratio(figures, "issue_type2_vs_rsa", issue, private_operation);
  figures["redeem_type2_us"] = quartiles(redeem).middle / 1000;
  figures["issue_type2_us"] = quartiles(issue).middle / 1000;
  note(figures, "replay_refused_ns", refuse);
}

void measure_ristretto(Figures& figures) {
  constexpr int batch = 32;
  Issuer issuer(types);
  if (!issuer.add(IssuerKey::generate(TokenType::ristretto))) {
    throw std::runtime_error("the issuer took no key");
  }
  const auto withdrawal = Withdrawal::begin(
      challenge_of(TokenType::ristretto), issuer.keys()[0].public_key(), types, Form::batch, batch);
  std::vector<double> issue;
  for (int s = 0; s < slices; ++s) {
    issue.push_back(
        slice(2,
              [&](int) { return issuer.answer(withdrawal->request(), Form::batch).has_value(); }) /
        batch / 1000);
  }
  figures["issue_type5_batch32_us"] = quartiles(issue).middle;
}

}  // namespace

void measure_tokens(Figures& figures) {
  measure_rsa(figures);
  measure_ristretto(figures);
}

}  // namespace bench
