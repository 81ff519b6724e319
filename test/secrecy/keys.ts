/**
 * Private keys and plaintexts that are to be found nowhere, and a program that has the server do with them whatever can
 * be done with keys, allowed and refused.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';

type Jwk = Readonly<Record<string, string>>;

export interface SecretsOfKeys {
  /** Private members and plaintexts, by name. */
  readonly bytes: Readonly<Record<string, Buffer>>;
  /** What the program works with. */
  readonly values: object;
}

const bytesOf = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');

/** Members that are refused have to be as secret as those that are taken in. */
export function secretsOfKeys(): SecretsOfKeys {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as Jwk;
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'jwk',
  }) as Jwk;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as Jwk;
  const oct = { kty: 'oct-HSM', k: randomBytes(32).toString('base64url') };
  const refusedOct = { kty: 'oct-HSM', k: randomBytes(31).toString('base64url') };
  const seed = randomBytes(32);
  const akp = { kty: 'AKP', alg: 'ML-DSA-44', pub: mlDsaPublic(seed), priv: seed.toString('base64url') };
  const refusedSeed = randomBytes(32);
  const refusedAkp = { ...akp, priv: refusedSeed.toString('base64url') };
  const plaintexts = Object.fromEntries(
    ['encrypted', 'wrapped', 'refusedPlaintext', 'refusedBlob'].map((name) => [name, randomBytes(32)]),
  );
  const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => [`RSA ${name}`, bytesOf(rsa[name])]);
  return {
    bytes: {
      ...Object.fromEntries(privateMembers),
      'EC d': bytesOf(ec.d),
      'refused EC d': bytesOf(other.d),
      'AES k': bytesOf(oct.k),
      'refused AES k': bytesOf(refusedOct.k),
      'ML-DSA seed': seed,
      'refused ML-DSA seed': refusedSeed,
      ...plaintexts,
    },
    values: {
      ...{ ec, rsa, oct, akp, refusedOct, refusedAkp },
      refusedEc: { ...other, x: ec.x },
      refusedRsa: { ...rsa, dp: rsa.dq },
      ...Object.fromEntries(
        Object.entries(plaintexts).map(([name, bytes]) => [name, bytes.toString('base64url')]),
      ),
    },
  };
}

/** OpenSSL makes it of the seed (PKCS#8, RFC 9881 §6). */
function mlDsaPublic(seed: Buffer): string {
  const key = Buffer.concat([Buffer.from('3034020100300b060960864801650304031104228020', 'hex'), seed]);
  const { pub } = createPrivateKey({ key, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' }) as Jwk;
  return pub ?? '';
}

/** For `exec`: takes the values from VALUES and the port from PORT; prints statuses by what was asked, and the blobs. */
export const useKeys = `
  import { DefaultAzureCredential } from '@azure/identity';
  import { request } from 'node:https';
  const s = JSON.parse(process.env.VALUES);
  const { token } = await new DefaultAzureCredential().getToken('https://vault.azure.net/.default');
  const host = 'dev.vault.azure.net';
  const headers = { Host: host, Authorization: 'Bearer ' + token, 'Content-Type': 'application/json' };
  const statuses = {};
  const bodies = {};
  const call = (name, method, path, body) => new Promise((resolve, reject) => {
    const at = { host: '127.0.0.1', port: Number(process.env.PORT), servername: host, method, headers };
    const sent = request({ ...at, path: path + '?api-version=2026-05-01-preview' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
      response.on('end', () => {
        (statuses[response.statusCode] ??= []).push(name);
        const isResult = response.statusCode === 200 && /(decrypt|unwrap)/.test(name);
        if (!isResult) bodies[name] = text;
        resolve(text === '' ? undefined : JSON.parse(text));
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
  const all = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];
  for (const name of ['ec', 'rsa', 'oct', 'akp']) {
    const key_ops = name === 'rsa' || name === 'oct' ? all : ['sign', 'verify'];
    await call('import ' + name, 'PUT', '/keys/' + name, { key: { ...s[name], key_ops } });
    await call('get ' + name, 'GET', '/keys/' + name);
    await call('refuse an operation of ' + name, 'PUT', '/keys/refused', { key: { ...s[name], key_ops: ['fly'] } });
    await call('refuse the type of ' + name, 'PUT', '/keys/refused', { key: { ...s[name], kty: 'OKP' } });
    await call('refuse a cut body of ' + name, 'PUT', '/keys/refused', JSON.stringify({ key: s[name] }).slice(0, -2));
    await call('refuse text for ' + name, 'PUT', '/keys/refused', { key: JSON.stringify(s[name]) });
    await call('refuse ' + name + ' with large tags', 'PUT', '/keys/refused', { key: s[name], tags: { a: 'b'.repeat(257) } });
  }
  for (const name of ['refusedEc', 'refusedRsa', 'refusedOct', 'refusedAkp'])
    await call('refuse ' + name, 'PUT', '/keys/refused', { key: s[name] });
  await call('refuse a long d', 'PUT', '/keys/refused', { key: { ...s.ec, d: s.refusedEc.d.repeat(500) } });

  for (const [key, alg, operations, value] of [
    ['rsa', 'RSA-OAEP-256', ['encrypt', 'decrypt'], s.encrypted],
    ['rsa', 'RSA1_5', ['wrapkey', 'unwrapkey'], s.wrapped],
    ['oct', 'A256GCM', ['encrypt', 'decrypt'], s.encrypted],
    ['oct', 'A256CBCPAD', ['encrypt', 'decrypt'], s.encrypted],
    ['oct', 'A256KW', ['wrapkey', 'unwrapkey'], s.wrapped],
  ]) {
    const name = (what) => what + ' ' + alg;
    const { kid, ...made } = await call(name(operations[0]), 'POST', '/keys/' + key + '/' + operations[0], { alg, value });
    const back = await call(name(operations[1]), 'POST', '/keys/' + key + '/' + operations[1], { alg, ...made });
    if (back.value !== value) throw new Error('not the same');
    const cut = { ...made, value: made.value.slice(0, -4) + 'AAAA' };
    await call('refuse a bent ' + alg, 'POST', '/keys/' + key + '/' + operations[1], { alg, ...cut });
    await call('refuse ' + alg + ' by ec', 'POST', '/keys/ec/' + operations[0], { alg, value: s.refusedPlaintext });
  }
  const long = s.refusedPlaintext.repeat(30);
  await call('refuse a long plaintext', 'POST', '/keys/rsa/encrypt', { alg: 'RSA-OAEP', value: long });
  await call('refuse a wrong length', 'POST', '/keys/oct/wrapkey', { alg: 'A256KW', value: s.refusedPlaintext.slice(0, 40) });
  await call('refuse an algorithm', 'POST', '/keys/rsa/encrypt', { alg: s.refusedPlaintext, value: s.refusedPlaintext });
  await call('refuse other text', 'POST', '/keys/rsa/encrypt', { alg: 'RSA-OAEP', value: '!' + s.refusedPlaintext });
  await call('refuse a cut plaintext', 'POST', '/keys/rsa/encrypt', '{"alg":"RSA-OAEP","value":"' + s.refusedPlaintext);
  await call('refuse a digest', 'POST', '/keys/rsa/sign', { alg: 'RS256', value: s.refusedPlaintext + 'AA' });
  await call('sign', 'POST', '/keys/oct/sign', { alg: 'HS256', value: s.encrypted });
  await call('refuse a blob', 'POST', '/keys/restore', { value: s.refusedBlob });

  const digest = Buffer.alloc(32, 1).toString('base64url');
  const blobs = [];
  for (const [name, body, alg] of [
    ['made-ec', { kty: 'EC' }, 'ES256'],
    ['made-p521', { kty: 'EC', crv: 'P-521' }],
    ['made-k256', { kty: 'EC-HSM', crv: 'P-256K' }, 'ES256K'],
    ['made-rsa', { kty: 'RSA' }, 'PS256'],
    ['made-akp', { kty: 'AKP', alg: 'ML-DSA-65' }, 'ML-DSA-65'],
  ]) {
    await call('create ' + name, 'POST', '/keys/' + name + '/create', body);
    if (alg) await call('sign with ' + name, 'POST', '/keys/' + name + '/sign', { alg, value: digest });
    if (name !== 'made-rsa') await call('rotate ' + name, 'POST', '/keys/' + name + '/rotate', {});
  }
  for (const name of ['ec', 'rsa', 'oct', 'akp', 'made-ec', 'made-rsa']) {
    const { value } = await call('backup ' + name, 'POST', '/keys/' + name + '/backup', {});
    blobs.push(value);
    await call('delete ' + name, 'DELETE', '/keys/' + name);
    await call('purge ' + name, 'DELETE', '/deletedkeys/' + name);
    await call('restore ' + name, 'POST', '/keys/restore', { value });
    await call('update ' + name, 'PATCH', '/keys/' + name, { tags: { a: 'b' } });
  }
  await call('delete', 'DELETE', '/keys/rsa');
  console.log(JSON.stringify({ statuses, blobs, bodies }));`;
