#include "attachment.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ticket::openssl {

namespace {

constexpr const char* purpose = "tls/openssl";

// Do attachments with different contexts live in this process? Known ahead, so
// that a handshake reads one flag.
class Attachments {
 public:
  void add(const Attachment& attachment) {
    const std::lock_guard guard(mutex_);
    living_.push_back(&attachment);
    refresh();
  }
  void remove(const Attachment& attachment) {
    const std::lock_guard guard(mutex_);
    living_.erase(std::find(living_.begin(), living_.end(), &attachment));
    refresh();
  }
  bool differ() const { return differ_.load(std::memory_order_relaxed); }

 private:
  void refresh() {
    differ_ = std::any_of(living_.begin(), living_.end(), [this](const Attachment* other) {
      return !other->same_fallback(*living_.front());
    });
  }

  std::mutex mutex_;
  std::vector<const Attachment*> living_;
  std::atomic<bool> differ_{false};
};

// Never destroyed: an SSL_CTX may be freed as the process ends.
Attachments& attachments() {
  static Attachments& all = *new Attachments;
  return all;
}

void context_freed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  const std::unique_ptr<Attachment> attachment(static_cast<Attachment*>(value));
  if (attachment) attachments().remove(*attachment);
}

int attachment_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, context_freed);
  return index;
}

// "b.example.org" -> ".example.org"; empty when there is no label to replace.
std::string_view without_first_label(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos || dot == 0 ? std::string_view() : name.substr(dot);
}

}  // namespace

ChosenContexts::~ChosenContexts() {
  for (auto& head : heads_) {
    for (Node* node = head.load(); node != nullptr;) delete std::exchange(node, node->next);
  }
}

const Context* ChosenContexts::find(tkt_ring* ring, const char* name) {
  const std::string_view wanted(name);
  auto& head = heads_[std::hash<std::string_view>{}(wanted) % heads_.size()];
  for (Node* node = head.load(std::memory_order_acquire); node != nullptr; node = node->next) {
    if (node->context.name == wanted) return &node->context;
  }
  const int number = tkt_core_context(ring, purpose, name);
  return number < 0 ? nullptr : add(head, name, number);
}

// Called from within OpenSSL, which no exception may cross.
const Context* ChosenContexts::add(std::atomic<Node*>& head, const char* name, int number) noexcept
    try {
  // two threads may add the same name at once; the number is the same
  auto* node = new Node{{name, number, false}, head.load()};
  while (!head.compare_exchange_weak(node->next, node)) {
  }
  return &node->context;
} catch (const std::bad_alloc&) {
  return nullptr;
}

Attachment::Attachment(tkt_ring* ring, const tkt_openssl_options& options)
    : ring_(ring),
      options_(options),
      fallback_(make_context(options.context == nullptr ? "default" : options.context)) {
  fallback_.fallback = true;
  for (std::size_t i = 0; i < options.names_count; ++i) add_name(options.names[i]);
}

Context Attachment::make_context(const char* name) const {
  const int number = tkt_core_context(ring_, purpose, name);
  if (number < 0) {
    throw std::invalid_argument("too many contexts, or too long a name: " + std::string(name));
  }
  return {name, number, false};
}

void Attachment::add_name(const tkt_openssl_name& row) {
  ServerName name;
  if (row.name == nullptr || row.context == nullptr || !name.assign(row.name) ||
      name.view().empty()) {
    throw std::invalid_argument("a row of names has no name or no context");
  }
  const bool wildcard = name.view().starts_with("*.");
  const auto key = wildcard ? name.view().substr(1) : name.view();
  if (key.find('*') != std::string_view::npos) {
    throw std::invalid_argument("a wildcard stands for the first label alone: " +
                                std::string(name.view()));
  }
  Row made{make_context(row.context), 0, nullptr};
  if (row.host != nullptr) {
    made.verify = SSL_CTX_get_verify_mode(row.host);
    made.record = keep_record(const_cast<SSL_CTX*>(row.host));  // what it does is not changed
  }
  (wildcard ? wildcards_ : names_).emplace(key, std::move(made));
}

const Attachment::Row* Attachment::find_row(const ServerName& name) const {
  if (const auto row = names_.find(name.view()); row != names_.end()) return &row->second;
  if (wildcards_.empty()) return nullptr;
  const auto row = wildcards_.find(without_first_label(name.view()));
  return row == wildcards_.end() ? nullptr : &row->second;
}

Host Attachment::host(SSL* ssl, const ServerName& name) const {
  if (options_.choose != nullptr) {
    const SSL_CTX* host = nullptr;
    const char* chosen = options_.choose(options_.choose_user, ssl, name.c_str(), &host);
    if (chosen == nullptr) return {};
    return {chosen_.find(ring_, chosen), host == nullptr ? client_cas(ssl) : client_cas(host),
            host};
  }
  const Row* row = find_row(name);
  if (row == nullptr) return {&fallback_, client_cas(ssl)};
  return {&row->context, row->cas(ssl)};
}

bool Attachment::same_fallback(const Attachment& other) const {
  return ring_ == other.ring_ && fallback_.name == other.fallback_.name;
}

std::int64_t Attachment::lifetime(const tkt_core_epoch& epoch) const {
  return options_.lifetime == 0 ? epoch.lifetime : std::min(options_.lifetime, epoch.lifetime);
}

bool Attachment::may_explain(tkt_core_time now) const {
  return explained_.exchange(now.steady) != now.steady;
}

const Attachment* attachment_of(const SSL_CTX* context) {
  return static_cast<const Attachment*>(SSL_CTX_get_ex_data(context, attachment_index()));
}

bool give_attachment(SSL_CTX* context, std::unique_ptr<Attachment> attachment) {
  auto* old = static_cast<Attachment*>(SSL_CTX_get_ex_data(context, attachment_index()));
  attachments().add(*attachment);  // which may throw, so before anybody can see it
  if (SSL_CTX_set_ex_data(context, attachment_index(), attachment.get()) != 1) {
    attachments().remove(*attachment);
    return false;
  }
  if (old != nullptr) attachments().remove(*old);
  attachment.release()->replaced.reset(old);
  return true;
}

namespace {

bool demands(int mode, const ClientCasRecord* record) {
  return (mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0 || (record != nullptr && record->demanded());
}

// Called from within OpenSSL, which no exception may cross: short of memory, by nobody's
// word, which is no host's.
template <class Body>
ClientCas asked_by(bool demanded, Body tell) noexcept {
  ClientCas cas{true, demanded, {}, {}};
  try {
    tell(cas);
  } catch (const std::bad_alloc&) {
    cas.digest = {};
  }
  return cas;
}

ClientCas client_cas(const SSL_CTX* host, int mode, const STACK_OF(X509_NAME) * names) {
  if ((mode & SSL_VERIFY_PEER) == 0) return {};
  return asked_by(demands(mode, record_of(host)),
                  [&](ClientCas& cas) { tell_cas(cas, host, names); });
}

}  // namespace

ClientCas Attachment::Row::cas(SSL* ssl) const {
  if (!record) return client_cas(ssl);
  if ((verify & SSL_VERIFY_PEER) == 0) return {};
  ClientCas cas{true, demands(verify, record.get()), {}, {}};
  record->tell(cas);
  return cas;
}

ClientCas client_cas(const SSL_CTX* context) {
  return client_cas(context, SSL_CTX_get_verify_mode(context), SSL_CTX_get_client_CA_list(context));
}

ClientCas client_cas(const SSL* ssl) {
  return client_cas(SSL_get_SSL_CTX(ssl), SSL_get_verify_mode(ssl), SSL_get_client_CA_list(ssl));
}

ClientCas client_cas(const SSL* ssl, const ClientCas& known) {
  const int mode = SSL_get_verify_mode(ssl);
  if ((mode & SSL_VERIFY_PEER) == 0) return {};
  return asked_by(demands(mode, record_of(SSL_get_SSL_CTX(ssl))), [&](ClientCas& cas) {
    cas.believed = known.believed;
    tell_names(cas, SSL_get_client_CA_list(ssl));
  });
}

const Attachment* settled(const SSL* ssl, const Note& note) {
  const SSL_CTX* current = SSL_get_SSL_CTX(ssl);
  const Attachment* attachment = attachment_of(current);
  if (attachment != nullptr || current == note.first) return attachment;
  return attachment_of(note.first);
}

bool may_yet_switch(const SSL* ssl, const Note& note, const Context& context) {
  return context.fallback && SSL_get_SSL_CTX(ssl) == note.first && attachments().differ();
}

bool may_yet_demand(const SSL* ssl, const Note& note, const Attachment& attachment) {
  return attachment.binding() == TKT_ANY_NAME && SSL_get_SSL_CTX(ssl) == note.first;
}

}  // namespace ticket::openssl
