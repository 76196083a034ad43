// A keyd in memory, and a host that lives on it with a clock that is turned by
// hand. Bundles and wraps are real.
#pragma once

#include <openssl/evp.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent_pool.hpp"

namespace test {

using namespace ticket;
using keyd::PoolLife;
using keyd::Reply;
using keyd::Request;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr sys_seconds noon{seconds(1'790'000'000)};

class Folder {
 public:
  Folder() {
    auto name = (std::filesystem::temp_directory_path() / "agent-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

inline bool contains(const std::string& text, BytesView bytes) {
  return text.find(as_text(bytes)) != std::string::npos;
}

// The number that follows `name=` in a request's target.
inline std::uint64_t parameter(const Request& request, const std::string& name) {
  const auto at = request.target.find(name + "=");
  if (at == std::string::npos) throw std::runtime_error("no " + name + " in " + request.target);
  return std::stoull(request.target.substr(at + name.size() + 1));
}

class FakeKeyd {
 public:
  explicit FakeKeyd(std::string pool = "web") : pool_(std::move(pool)) {}

  crypto::SignerPublic signer() const { return crypto::signer_public(signer_); }
  const feed::Manifest& manifest() const { return manifest_; }
  // Of the epochs in the manifest, 32 bytes each.
  const SecretBytes& secrets() const { return *secrets_; }
  std::uint64_t generation() const { return manifest_.generation; }

  // A new generation with one more epoch, which opens for `opens`.
  void rotate(sys_seconds now, seconds opens = 12h) {
    auto& m = manifest_;
    m.pool = pool_;
    m.generation = std::max<std::uint64_t>(
        m.generation + 1, static_cast<std::uint64_t>(now.time_since_epoch().count()) * 1000);
    m.issued_at = now;
    m.policy.rotate_every = rotate_every;
    if (short_policy) m.policy.publish_ahead = m.policy.lifetime = 2 * rotate_every;
    std::erase_if(m.epochs, [now](const ring::Epoch& e) { return e.opens_until <= now; });
    ring::Epoch epoch;
    epoch.number = ++last_number_;
    randombytes_buf(epoch.id.data(), epoch.id.size());
    epoch.made = epoch.seals_from = now;
    epoch.seals_until = now + opens / 2;
    epoch.opens_until = now + opens;
    m.epochs.push_back(epoch);
    m.not_after = epoch.opens_until;
    for (const auto& e : m.epochs) m.not_after = std::max(m.not_after, e.opens_until);
    draw_secrets();
  }

  // Another manifest under the generation that stands.
  void equivocate() {
    manifest_.issued_at += 1s;
    seal();
  }

  // A new generation, signed and whole, whose epochs or secrets are spoiled.
  using Spoil = std::function<void(feed::Manifest&, SecretBytes&)>;
  void spoil(const Spoil& spoil) {
    whole_ = manifest_;
    ++manifest_.generation;
    secrets_ = std::make_shared<SecretBytes>(SecretBytes::copy_of(secrets_->expose()));
    spoil(manifest_, *secrets_);
    seal();
  }
  // The next one, as it was before.
  void mend() {
    whole_.generation = manifest_.generation + 1;
    manifest_ = whole_;
    draw_secrets();
  }

  // Gives out what this signer would publish for another pool.
  void rename_and_override(const std::string& pool) {
    auto other = manifest_;
    other.pool = pool;
    ++other.generation;
    bundle_override =
        feed::write_bundle(feed::seal_bundle(other, *secrets_, signer_, content_key_));
  }

  void seal() {
    content_key_ = feed::ContentKey::random();
    bundle_ = feed::seal_bundle(manifest_, *secrets_, signer_, content_key_);
  }
  std::string body() const { return feed::write_bundle(bundle_); }

  // nullopt: no answer at all.
  std::optional<Reply> answer(const Request& request) {
    ++requests;
    if (dead) return std::nullopt;
    if (!scripted.empty()) {
      auto reply = scripted.front();
      scripted.pop_front();
      if (reply) return reply;  // an empty one lets a request pass
    }
    if (request.method == "PUT") return enrol(request);
    if (request.target.find("/wraps/") != std::string::npos) return wrap();
    if (!bundle_override.empty()) return Reply{200, bundle_override};
    if (manifest_.generation > parameter(request, "after")) return Reply{200, body()};
    return Reply{204, ""};
  }

  seconds rotate_every = 1h;
  bool short_policy = false;
  bool dead = false;
  bool refuses_enrolments = false;
  std::optional<sys_seconds> clock;             // enrolments of another time are refused
  std::string bundle_override;                  // given out instead of our own
  std::deque<std::optional<Reply>> scripted;    // answers to the next requests
  std::optional<crypto::BoxPublic> member_key;  // as enrolled
  std::vector<json> enrolments;
  unsigned requests = 0;

 private:
  void draw_secrets() {
    std::vector<Bytes> kept;
    for (const auto& epoch : manifest_.epochs) {
      auto& secret = by_number_[epoch.number];
      if (secret.empty()) {
        secret.resize(32);
        randombytes_buf(secret.data(), 32);
      }
      kept.push_back(secret);
    }
    secrets_ = std::make_shared<SecretBytes>(kept.size() * 32);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      std::ranges::copy(kept[i], secrets_->fill().subspan(i * 32).begin());
    }
    seal();
  }

  Reply enrol(const Request& request) {
    if (refuses_enrolments) return {403, R"({"error": "no such member"})"};
    auto body = json::parse(request.body);
    const sys_seconds time{seconds(body["time"].get<std::int64_t>())};
    if (clock && (time > *clock + 600s || time < *clock - 600s)) {
      return {403, R"({"error": "its clock is wrong"})"};
    }
    const auto last = enrolments.empty() ? 0 : enrolments.back()["time"].get<std::int64_t>();
    if (body["time"].get<std::int64_t>() <= last) return {403, R"({"error": "time not newer"})"};
    const auto key = from_base64url(body["sealing_key"].get<std::string>());
    member_key = to_array(BytesView(*key).first<32>());
    enrolments.push_back(std::move(body));
    return {200, json{{"generation", generation()}, {"member", 7}}.dump()};
  }

  Reply wrap() const {
    if (!member_key) return {404, R"({"error": "not enrolled"})"};
    return {200, json{{"generation", generation()},
                      {"member", 7},
                      {"wrap", base64url(feed::seal_wrap(*member_key, content_key_, 7))}}
                     .dump()};
  }

  std::string pool_;
  crypto::SignerSeed signer_ = crypto::SignerSeed::random();
  feed::Manifest manifest_, whole_;
  std::shared_ptr<SecretBytes> secrets_;
  std::unordered_map<std::uint32_t, Bytes> by_number_;
  std::uint32_t last_number_ = 0;
  feed::ContentKey content_key_ = feed::ContentKey::random();
  feed::Bundle bundle_;
};

// A server with an agent of one pool.
class Host {
 public:
  explicit Host(FakeKeyd& keyd) : keyd_(keyd) {}

  void boot() {
    writer_ = std::make_shared<ring::RingWriter>(ring_path(), "web");
    keyd::Identity identity;
    identity.chain = "PEM";
    identity.key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    identity.member = "web1";
    PoolLife::Settings settings{
        .pool = "web",
        .signer = keyd_.signer(),
        .state = state(),
        .log = [this](auto level, auto& text) {
          log.push_back(std::string(spdlog::level::to_string_view(level).data()) + ": " + text);
        }};
    life = std::make_unique<PoolLife>(std::move(settings), std::move(identity), writer_);
    life->start(moment());
  }

  // As SIGKILL does: nothing is put in order. /run loses its files at a reboot.
  void kill() {
    life.reset();
    writer_.reset();
  }
  void reboot() {
    kill();
    std::filesystem::remove(ring_path());
    boot();
  }

  // One request and its answer, or one pause. Long polls and pauses turn the clock.
  void step() {
    auto next = life->next(moment());
    if (const auto* pause = std::get_if<keyd::Pause>(&next)) {
      ++pauses;
      now += std::chrono::ceil<seconds>(pause->length);
      return life->tick(moment());
    }
    const auto& request = std::get<Request>(next);
    asked.push_back(request);
    const auto reply = keyd_.answer(request);
    if (reply && reply->status == 204) now += request.wait;
    try {
      reply ? life->answered(*reply, moment()) : life->failed("no answer");
    } catch (const std::exception& error) {
      life->failed(error.what());
    }
    life->tick(moment());
  }
  void steps(int count) {
    while (count-- > 0) step();
  }
  // Until the newest generation is applied and waits for the next.
  void settle() {
    for (int i = 0; i < 100; ++i) {
      if (life->generation() == keyd_.generation() && keyd_.member_key) return;
      step();
    }
    throw std::runtime_error("the agent does not settle");
  }

  std::optional<ring::Ring> ring() const { return ring_of(ring_path()); }
  static std::optional<ring::Ring> ring_of(const std::filesystem::path& path) {
    auto read = ring::RingReader(path).read();
    if (!read) return std::nullopt;
    return std::move(*read);
  }
  std::uint64_t generation() const {
    const auto current = ring();
    return current ? current->generation : 0;
  }
  bool logged(const std::string& text) const {
    for (const auto& line : log) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  std::shared_ptr<ring::RingWriter> writer() const { return writer_; }

  std::filesystem::path ring_path() const { return folder / "web.ring"; }
  std::filesystem::path state() const { return folder / "state"; }

  Moment moment() const { return {now, now + apart}; }

  Folder folder;
  sys_seconds now = noon;  // by the clock as it was when the agent began
  seconds apart{0};        // by which the wall clock was set ahead since
  std::unique_ptr<PoolLife> life;
  std::vector<std::string> log;
  std::vector<Request> asked;
  int pauses = 0;

 private:
  FakeKeyd& keyd_;
  std::shared_ptr<ring::RingWriter> writer_;
};

}  // namespace test
