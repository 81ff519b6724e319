import { describe, expect, it } from 'vitest';
import { systemRandom } from '../crypto/random.ts';
import { browserKey, formCookie, formToken, isOwnForm, setCookie } from './form-tokens.ts';

const key = browserKey(undefined, systemRandom);
const cookie = `${formCookie}=${key}`;
const token = formToken(key, '/page?a=b');

describe('forms', () => {
  it('are taken from the browser that they were shown in, for their request', () => {
    expect(isOwnForm(`other=1; ${cookie}; x=y`, '/page?a=b', token)).toBe(true);
    for (const [cookies, request, shown] of [
      [undefined, '/page?a=b', token],
      ['', '/page?a=b', token],
      [`${formCookie}=${browserKey(undefined, systemRandom)}`, '/page?a=b', token],
      [`${cookie}; ${cookie}`, '/page?a=b', token],
      [`${formCookie}=`, '/page?a=b', token],
      [`x${cookie}`, '/page?a=b', token],
      [cookie, '/page?a=c', token],
      [cookie, '/page?a=b', null],
      [cookie, '/page?a=b', ''],
      [cookie, '/page?a=b', key],
    ] as const)
      expect(isOwnForm(cookies, request, shown), `${cookies} ${request} ${shown}`).toBe(false);
  });

  it('keep a browser’s key, and make a new one for what is none of ours', () => {
    expect(browserKey(cookie, systemRandom)).toBe(key);
    for (const cookies of [`${formCookie}=short`, `${formCookie}=${key}"`, undefined])
      expect(browserKey(cookies, systemRandom)).not.toBe(key);
    expect(setCookie(key)).toBe(`${cookie}; Path=/; Secure; HttpOnly; SameSite=Strict`);
  });
});
