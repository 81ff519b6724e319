/** Proves which names an authority is asked for, and that what it cannot certify is refused before it is asked. */
import { describe, expect, it } from 'vitest';
import { contentFor } from '../../test/support/acme-orders.ts';
import { canonicalIdentifier, identifiersOf, NotCertifiable } from './identifiers.ts';

const values = (...given: Parameters<typeof contentFor>) =>
  identifiersOf(contentFor(...given)).map(({ type, value }) => `${type}:${value}`);

describe('identifiers', () => {
  it('are the names of the content, each once, in lower case and canonical form', () => {
    const dnsNames = ['WWW.example.com', 'www.EXAMPLE.com', '*.Example.com', 'xn--bcher-kva.example'];
    const ipAddresses = ['192.0.2.1', '2001:DB8:0::1'];
    expect(values({ dnsNames, ipAddresses })).toEqual([
      'dns:www.example.com',
      'dns:*.example.com',
      'dns:xn--bcher-kva.example',
      'ip:192.0.2.1',
      'ip:2001:db8::1',
    ]);
  });

  it.each([
    ['CN=www.example.com', ['dns:www.example.com']],
    ['CN=*.example.com,O=Example', ['dns:*.example.com']],
    ['O=www.example.org,CN=192.0.2.7', ['ip:192.0.2.7']],
    ['CN=a.example+CN=b.example', undefined],
    ['OU=x,CN=a.example,CN=b.example', ['dns:a.example', 'dns:b.example']],
  ])('of the subject alone: %s', (subject, expected) => {
    if (expected === undefined) expect(() => values({}, subject)).toThrow();
    else expect(values({}, subject)).toEqual(expected);
  });

  it('leave out common names that are titles', () => {
    for (const subject of ['CN=My Service', 'CN=localhost', 'CN=1.2.3', 'CN=a..b', 'CN=a_b.example/x']) {
      expect(values({ dnsNames: ['a.example'] }, subject), subject).toEqual(['dns:a.example']);
      expect(() => values({}, subject), subject).toThrow(NotCertifiable);
    }
  });

  it('may be a hundred', () => {
    const names = (count: number) => Array.from({ length: count }, (_, n) => `n${n}.example`);
    expect(values({ dnsNames: names(100) })).toHaveLength(100);
    expect(() => values({ dnsNames: names(101) })).toThrow(NotCertifiable);
    expect(() => values({ dnsNames: names(100) }, 'CN=another.example')).toThrow(NotCertifiable);
  });

  it.each([
    ['e-mail', { emails: ['a@example.com'] }],
    ['UPN', { upns: ['a@example.com'] }],
    ['URI', { uris: ['https://example.com'] }],
  ])('%s: no authority certifies it, with a name beside it or not', (_name, more) => {
    for (const dnsNames of [[], ['a.example']]) {
      const content = contentFor({ dnsNames });
      expect(() => identifiersOf({ ...content, sans: { ...content.sans, ...more } })).toThrow(NotCertifiable);
    }
  });

  it('no authority certifies authorities, nothing, or what is no name', () => {
    expect(() => identifiersOf({ ...contentFor({ dnsNames: ['a.example'] }), ca: true })).toThrow(
      NotCertifiable,
    );
    expect(() => identifiersOf(contentFor({}))).toThrow(NotCertifiable);
    for (const name of [
      'a b.example',
      'a.*.example',
      '*',
      '10.0.0.1',
      'a.example.',
      '\u00fc.example',
      'a\0.example',
    ]) {
      expect(() => identifiersOf(contentFor({ dnsNames: [name] })), name).toThrow(NotCertifiable);
    }
    expect(() => identifiersOf(contentFor({ ipAddresses: ['300.0.0.1'] }))).toThrow(NotCertifiable);
  });

  it('compare whatever their writing', () => {
    expect(canonicalIdentifier({ type: 'ip', value: '2001:DB8:0:0::1' })).toEqual({
      type: 'ip',
      value: '2001:db8::1',
    });
    expect(canonicalIdentifier({ type: 'dns', value: 'A.example' })).toEqual({
      type: 'dns',
      value: 'a.example',
    });
    expect(canonicalIdentifier({ type: 'ip', value: 'nonsense' })).toEqual({ type: 'ip', value: 'nonsense' });
  });
});
