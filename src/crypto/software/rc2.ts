/**
 * RC2 in CBC mode (RFC 2268), in which Windows and OpenSSL before version 3 encrypt the certificates of a PKCS#12 file.
 * It comes from the legacy provider of OpenSSL in Node.js itself, in a library context of its own that lasts for one
 * call: whatever else runs in the process still has no obsolete algorithm. Only decryption is here.
 */
import { createRequire } from 'node:module';

/** OpenSSL cannot be called from here (no `koffi` for this platform), or it came without its legacy provider. */
export class Rc2Missing extends Error {
  constructor(cause: unknown) {
    super('this OpenSSL has no RC2', { cause });
    this.name = 'Rc2Missing';
  }
}

export interface Rc2Input {
  /** 5 octets: 40 effective bits. 16 octets: 128 effective bits (RFC 7292 appendix C). */
  readonly key: Uint8Array;
  /** 8 octets. */
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
}

type Pointer = bigint & { readonly to: 'OpenSSL' };

const names: Readonly<Record<number, string>> = { 5: 'RC2-40-CBC', 16: 'RC2-CBC' };
const block = 8;
/** OpenSSL's one answer that means done. */
const done = 1;

/**
 * Decrypts and takes the padding off; the result is the caller's to wipe. Throws `Rc2Missing` where there is no RC2,
 * `TypeError` for a key or IV of a wrong length, and `Error` for a ciphertext that was not made with this key.
 * `testOnlyPath` is that of another library, for tests.
 */
export function decryptRc2(input: Rc2Input, testOnlyPath: string | null = null): Uint8Array {
  const name = names[input.key.length];
  if (name === undefined || input.iv.length !== block) throw new TypeError('a key or IV of a wrong length');
  const openssl = open(testOnlyPath);
  const library = openssl.newLibrary();
  const provider = library === null ? null : openssl.loadProvider(library, 'legacy');
  const cipher = provider === null ? null : openssl.fetchCipher(library, name, null);
  const context = cipher === null ? null : openssl.newContext();
  try {
    if (cipher === null || context === null) throw new Rc2Missing(undefined);
    // What is checked here is how many octets OpenSSL reads behind the two pointers.
    if (openssl.keyLength(cipher) !== input.key.length || openssl.ivLength(cipher) !== block)
      throw new Rc2Missing(undefined);
    return run(openssl, { cipher, context }, input);
  } finally {
    openssl.freeContext(context);
    openssl.freeCipher(cipher);
    if (provider !== null) openssl.unloadProvider(provider);
    openssl.freeLibrary(library);
    // What a refusal leaves in the queue would show up in the text of a later error of `node:crypto`.
    openssl.clearErrors();
  }
}

type OpenSsl = ReturnType<typeof open>;

function run(
  openssl: OpenSsl,
  { cipher, context }: { readonly cipher: Pointer; readonly context: Pointer },
  { key, iv, ciphertext }: Rc2Input,
): Uint8Array {
  // Never more than what goes in (EVP_DecryptUpdate(3): at most one block more, which the padding takes off again).
  const output = Buffer.alloc(ciphertext.length + block);
  const written: [number] = [0];
  const expect = (code: number) => {
    if (code !== done) throw new Error('the ciphertext is not RC2 of this key');
  };
  try {
    expect(openssl.init(context, cipher, key, iv, null));
    expect(openssl.update(context, output, written, ciphertext, ciphertext.length));
    const [length] = written;
    expect(openssl.final(context, output.subarray(length), written));
    return Uint8Array.from(output.subarray(0, length + written[0]));
  } finally {
    output.fill(0);
  }
}

/** The prototypes are those of OpenSSL's manual, without `const` and with every structure as `void`. */
function open(path: string | null) {
  try {
    const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
    // With `null` the binary of Node.js and what it is linked to: never a second libcrypto in one process.
    const library = koffi.load(path);
    const bound = <F extends (...parameters: never[]) => unknown>(prototype: string) =>
      library.func(prototype) as unknown as F;
    return {
      clearErrors: bound<() => void>('void ERR_clear_error(void)'),
      newLibrary: bound<() => Pointer | null>('void *OSSL_LIB_CTX_new(void)'),
      freeLibrary: bound<(library: Pointer | null) => void>('void OSSL_LIB_CTX_free(void *ctx)'),
      loadProvider: bound<(library: Pointer, name: string) => Pointer | null>(
        'void *OSSL_PROVIDER_load(void *libctx, str name)',
      ),
      unloadProvider: bound<(provider: Pointer) => number>('int OSSL_PROVIDER_unload(void *prov)'),
      fetchCipher: bound<(library: Pointer | null, name: string, query: null) => Pointer | null>(
        'void *EVP_CIPHER_fetch(void *ctx, str algorithm, str properties)',
      ),
      freeCipher: bound<(cipher: Pointer | null) => void>('void EVP_CIPHER_free(void *cipher)'),
      keyLength: bound<(cipher: Pointer) => number>('int EVP_CIPHER_get_key_length(void *e)'),
      ivLength: bound<(cipher: Pointer) => number>('int EVP_CIPHER_get_iv_length(void *e)'),
      newContext: bound<() => Pointer | null>('void *EVP_CIPHER_CTX_new(void)'),
      freeContext: bound<(context: Pointer | null) => void>('void EVP_CIPHER_CTX_free(void *ctx)'),
      init: bound<
        (context: Pointer, cipher: Pointer, key: Uint8Array, iv: Uint8Array, parameters: null) => number
      >('int EVP_DecryptInit_ex2(void *ctx, void *type, void *key, void *iv, void *params)'),
      update: bound<
        (context: Pointer, out: Uint8Array, written: [number], input: Uint8Array, length: number) => number
      >('int EVP_DecryptUpdate(void *ctx, void *out, _Out_ int *outl, void *in, int inl)'),
      final: bound<(context: Pointer, out: Uint8Array, written: [number]) => number>(
        'int EVP_DecryptFinal_ex(void *ctx, void *outm, _Out_ int *outl)',
      ),
    };
  } catch (cause) {
    throw new Rc2Missing(cause);
  }
}
