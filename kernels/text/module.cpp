// The Python module `petitlm._text`: kernels over text and token ids, for the data of a model.
#include "text.h"

NB_MODULE(_text, m) {
  petit::text::bind_minhash(m);
  petit::text::bind_linear(m);
  petit::text::bind_bpe(m);
  petit::text::bind_suffix(m);
}
