/** Proves which client addresses a vault's network rules let in. */
import { describe, expect, it } from 'vitest';
import { compileNetworkRules, isIpRule, openNetwork } from './network-rules.ts';

const deny = (...ipRules: string[]) =>
  compileNetworkRules({ defaultAction: 'Deny', bypass: 'None', ipRules });

describe('rules', () => {
  it('let everybody in by default, and nobody when they deny and name no one', () => {
    for (const address of ['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.1']) {
      expect(compileNetworkRules(openNetwork)(address)).toBe(true);
      expect(deny()(address)).toBe(false);
    }
  });

  it.each([
    ['10.1.2.0/23', ['10.1.2.0', '10.1.3.255'], ['10.1.1.255', '10.1.4.0']],
    ['10.1.2.77/24', ['10.1.2.0', '10.1.2.255'], ['10.1.3.0']],
    ['10.1.2.3', ['10.1.2.3'], ['10.1.2.2', '10.1.2.4']],
    ['10.1.2.3/32', ['10.1.2.3'], ['10.1.2.2']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['2001:db8::1', '::1']],
    ['128.0.0.0/1', ['128.0.0.0', '255.255.255.255'], ['127.255.255.255']],
    ['2001:db8::/32', ['2001:db8::', '2001:db8:ffff::1'], ['2001:db9::', '10.0.0.1']],
    ['::/0', ['::1', '2001:db8::1', 'fe80::1%eth0'], ['10.0.0.1', '::ffff:10.0.0.1']],
    ['::/8', ['::1'], ['10.0.0.1', '2001:db8::1']],
    ['::ffff:10.1.2.3', ['10.1.2.3', '::ffff:10.1.2.3'], ['10.1.2.4']],
    ['::ffff:a01:200/120', ['10.1.2.0', '10.1.2.255'], ['10.1.3.0', '::1']],
    ['::ffff:0:0/96', ['0.0.0.0', '255.255.255.255'], ['::1', '2001:db8::1']],
  ])('%s lets in %j and not %j', (rule, inside, outside) => {
    const check = deny(rule);
    for (const address of inside) expect([address, check(address)]).toEqual([address, true]);
    for (const address of outside) expect([address, check(address)]).toEqual([address, false]);
  });

  it('answer for an IPv4-mapped address as for the IPv4 address', () => {
    const check = deny('10.0.0.0/8');
    expect(check('::ffff:10.9.8.7')).toBe(true);
    expect(check('::FFFF:10.9.8.7')).toBe(true);
    expect(check('::ffff:a09:807')).toBe(true);
    expect(check('0:0:0:0:0:FFFF:0a09:0807')).toBe(true);
    expect(check('::ffff:11.9.8.7')).toBe(false);
    expect(check('::ffff:b09:807')).toBe(false);
    expect(check('::10.9.8.7')).toBe(false);
    expect(check('64:ff9b::10.9.8.7')).toBe(false);
  });

  it('let nothing in that is no address', () => {
    const check = deny('0.0.0.0/0', '::/0');
    for (const address of [
      '',
      'localhost',
      '10.0.0.1:443',
      '10.0.0',
      '010.0.0.1',
      '10.0.0.1 ',
      '::ffff:',
      '::ffff:x',
    ]) {
      expect([address, check(address)]).toEqual([address, false]);
    }
  });

  it('add up', () => {
    const check = deny('10.0.0.1', '192.0.2.0/24');
    expect(['10.0.0.1', '192.0.2.9', '10.0.0.2'].map(check)).toEqual([true, true, false]);
  });
});

describe('the form of a rule', () => {
  it.each(['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '10.0.0.1/32', '::1', '::/0', '::/128'])(
    '%s is one',
    (rule) => {
      expect(isIpRule(rule)).toBe(true);
    },
  );

  it.each([
    '',
    '/',
    '/8',
    '10.0.0.1/',
    '10.0.0.1/33',
    '10.0.0.1/-1',
    '10.0.0.1/08',
    '10.0.0.1/1e1',
    '10.0.0.1/8/8',
    '10.0.0.1/ 8',
    ' 10.0.0.1',
    '010.0.0.1',
    '10.0.0/8',
    '10.0.0.256',
    '::/129',
    'fe80::1%eth0',
    '::ffff:10.0.0.1/95',
    '::ffff:10.0.0.1/129',
    '10.0.0.1-10.0.0.9',
    'example.com',
  ])('%j is none', (rule) => {
    expect(isIpRule(rule)).toBe(false);
  });
});
