// tkt_seal and tkt_open with a payload of 200 bytes, through the C door; beside
// them, in alternating slices, the same tickets made the plain way: EVP contexts
// made for each, algorithms fetched once.
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>
#include <stdexcept>

#include "setting.hpp"

namespace bench {

namespace {

constexpr int slices = 31;
constexpr int tickets_in_slice = 5000;
constexpr std::size_t payload_size = 200;
constexpr std::size_t plain_size = payload_size + 35;  // and what tkt_seal puts before it

struct Buffers {
  unsigned char payload[plain_size] = {1}, ticket[512], out[512];
  std::size_t size = 0;
};

class Ours : Buffers {
 public:
  Ours() : ring_(open_ring(pool_)) {
    if (tkt_ring_context(ring_.get(), nullptr, nullptr, &context_) != TKT_OK) {
      throw std::runtime_error("tkt_ring_context");
    }
  }
  bool seal() {
    size = sizeof ticket;
    return tkt_seal(context_, ticket, &size, payload, payload_size, nullptr) == TKT_OK;
  }
  bool open() {
    tkt_opened opened;
    opened.size = sizeof opened;
    std::size_t length = sizeof out;
    return tkt_open(context_, out, &length, ticket, size, &opened) == TKT_OK;
  }

 private:
  PoolFolder pool_;
  RingPtr ring_;
  tkt_context* context_ = nullptr;
};

class Plain : Buffers {
 public:
  bool seal() {
    std::memcpy(ticket, name_, 16);
    RAND_bytes(ticket + 16, 16);
    int first = 0, last = 0;
    auto* cipher = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex2(cipher, cbc_, aes_key_, ticket + 16, nullptr);
    EVP_EncryptUpdate(cipher, ticket + 32, &first, payload, plain_size);
    EVP_EncryptFinal_ex(cipher, ticket + 32 + first, &last);
    EVP_CIPHER_CTX_free(cipher);
    size = 32 + static_cast<std::size_t>(first + last);
    const bool tagged = tag(ticket + size);
    size += 32;
    return tagged;
  }
  bool open() {
    unsigned char expected[32];
    size -= 32;
    const bool authentic = tag(expected) && CRYPTO_memcmp(expected, ticket + size, 32) == 0;
    int first = 0, last = 0;
    auto* cipher = EVP_CIPHER_CTX_new();
    EVP_DecryptInit_ex2(cipher, cbc_, aes_key_, ticket + 16, nullptr);
    EVP_DecryptUpdate(cipher, out, &first, ticket + 32, static_cast<int>(size - 32));
    const bool whole = EVP_DecryptFinal_ex(cipher, out + first, &last) == 1;
    EVP_CIPHER_CTX_free(cipher);
    size += 32;
    return authentic && whole;
  }

 private:
  bool tag(unsigned char* to) {
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
        OSSL_PARAM_construct_end()};
    std::size_t length = 0;
    auto* mac = EVP_MAC_CTX_new(hmac_);
    const bool done = EVP_MAC_init(mac, hmac_key_, sizeof hmac_key_, parameters) == 1 &&
                      EVP_MAC_update(mac, ticket, size) == 1 &&
                      EVP_MAC_final(mac, to, &length, 32) == 1;
    EVP_MAC_CTX_free(mac);
    return done;
  }

  unsigned char name_[16] = {3}, aes_key_[32] = {1}, hmac_key_[32] = {2};
  EVP_CIPHER* cbc_ = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  EVP_MAC* hmac_ = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
};

template <class Work>
double slice(Work work) {
  bool well = true;
  const auto began = thread_time();
  for (int i = 0; i < tickets_in_slice; ++i) well &= work();
  const auto took = thread_time() - began;
  if (!well) throw std::runtime_error("a ticket was not sealed or did not open");
  return took / tickets_in_slice;
}

}  // namespace

void measure_seal(Figures& figures) {
  Ours ours;
  Plain plain;
  std::vector<double> seal, open, plain_seal, plain_open;
  for (int i = 0; i < slices; ++i) {
    seal.push_back(slice([&] { return ours.seal(); }));
    plain_seal.push_back(slice([&] { return plain.seal(); }));
    open.push_back(slice([&] { return ours.open(); }));
    plain_open.push_back(slice([&] { return plain.open(); }));
  }
  const std::pair<const char*, std::vector<double>*> all[] = {{"seal_200_ns", &seal},
                                                              {"open_200_ns", &open},
                                                              {"plain_seal_200_ns", &plain_seal},
                                                              {"plain_open_200_ns", &plain_open}};
  for (const auto& [name, times] : all) note(figures, name, *times);
}

}  // namespace bench
