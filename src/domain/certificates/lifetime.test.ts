/** Proves the lifetime actions of a policy: what may be said, at its edges, and when each is due. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LifetimeActionInput, lifetimeDue, parseLifetimeActions, usualAction } from './lifetime.ts';

const otherwise = [usualAction(false)];
const parse = (...given: LifetimeActionInput[]) =>
  parseLifetimeActions(given, { validityMonths: 36, otherwise });
const days = 86_400;

describe('what may be said', () => {
  test('percentages from 1 to 99, days from 1 to 27 for each month; names in any case', () => {
    for (const percentage of [1, 99])
      expect(parse({ trigger: { percentage }, type: 'AutoRenew' })).toEqual([
        { trigger: { percentage }, type: 'AutoRenew' },
      ]);
    for (const daysBeforeExpiry of [1, 972])
      expect(parse({ trigger: { daysBeforeExpiry }, type: 'emailcontacts' })).toEqual([
        { trigger: { daysBeforeExpiry }, type: 'EmailContacts' },
      ]);
    for (const percentage of [0, 100, -1, 1.5])
      expect(() => parse({ trigger: { percentage }, type: 'AutoRenew' })).toThrow(
        'lifetime_percentage is from 1 to 99',
      );
    expect(() => parse({ trigger: { daysBeforeExpiry: 973 }, type: 'AutoRenew' })).toThrow('from 1 to 972');
    for (const daysBeforeExpiry of [0, -1, 0.5])
      expect(() => parse({ trigger: { daysBeforeExpiry }, type: 'AutoRenew' })).toThrow(
        'a whole number from 1',
      );
  });

  test('one trigger each, one action of each type', () => {
    const one = 'one trigger, lifetime_percentage or days_before_expiry';
    expect(() => parse({ trigger: { percentage: 1, daysBeforeExpiry: 1 }, type: 'AutoRenew' })).toThrow(one);
    for (const trigger of [undefined, null, {}, { percentage: null }])
      expect(() => parse({ trigger, type: 'AutoRenew' })).toThrow(one);
    for (const type of ['Rotate', '', null, undefined])
      expect(() => parse({ trigger: { percentage: 1 }, type })).toThrow('AutoRenew or EmailContacts');
    const renew = { trigger: { percentage: 80 }, type: 'AutoRenew' };
    const mail = { trigger: { daysBeforeExpiry: 30 }, type: 'EmailContacts' };
    expect(parse(mail, renew)).toEqual([mail, renew]);
    expect(() => parse(renew, mail, { ...renew, trigger: { percentage: 90 } })).toThrow(
      'one AutoRenew and one EmailContacts',
    );
  });

  test('nothing: what was there, or none if the list is empty', () => {
    for (const given of [undefined, null])
      expect(parseLifetimeActions(given, { validityMonths: 12, otherwise })).toBe(otherwise);
    expect(parse()).toEqual([]);
  });
});

describe('when it is due', () => {
  const bounds = { notBefore: 1000 * days, expires: 1100 * days };
  const due = (issuer: string, ...given: LifetimeActionInput[]) =>
    lifetimeDue({ lifetimeActions: parse(...given), issuer: { name: issuer } }, bounds);

  test('after a part of the lifetime, or so many days before its end', () => {
    const renew = { trigger: { percentage: 80 }, type: 'AutoRenew' };
    const mail = { trigger: { daysBeforeExpiry: 30 }, type: 'EmailContacts' };
    expect(due('Self', renew, mail)).toEqual({ renewAt: 1080 * days, emailAt: 1070 * days });
    expect(due('Self', renew)).toEqual({ renewAt: 1080 * days, emailAt: undefined });
    expect(due('Self')).toEqual({ renewAt: undefined, emailAt: undefined });
  });

  test('what nobody here can renew is written about instead, once', () => {
    const renew = { trigger: { percentage: 80 }, type: 'AutoRenew' };
    const mail = { trigger: { percentage: 90 }, type: 'EmailContacts' };
    expect(due('unknown', renew)).toEqual({ renewAt: undefined, emailAt: 1080 * days });
    expect(due('Unknown', mail, renew)).toEqual({ renewAt: undefined, emailAt: 1080 * days });
    expect(due('Unknown')).toEqual({ renewAt: undefined, emailAt: undefined });
  });

  test('a life no longer than the days before its end is not due from the first day on', () => {
    for (const daysBeforeExpiry of [100, 900])
      expect(due('Self', { trigger: { daysBeforeExpiry }, type: 'AutoRenew' }).renewAt).toBe(1080 * days);
    expect(due('Self', { trigger: { daysBeforeExpiry: 99 }, type: 'AutoRenew' }).renewAt).toBe(1001 * days);
  });

  test('the minutes by which a certificate begins before it is made are not its first day', () => {
    const lifetimeActions = parse({ trigger: { daysBeforeExpiry: 90 }, type: 'AutoRenew' });
    const made = 1000 * days;
    for (const backdating of [0, 600, 3600]) {
      const valid = { notBefore: made - backdating, expires: made + 90 * days };
      const { renewAt } = lifetimeDue({ lifetimeActions, issuer: { name: 'Corporate' } }, valid);
      expect(renewAt).toBeGreaterThan(made + 70 * days);
    }
  });

  test('never before the certificate is valid, never after it', () => {
    const percentages = fc.integer({ min: 1, max: 99 }).map((percentage) => ({ percentage }));
    const daysBefore = fc.integer({ min: 1, max: 972 }).map((daysBeforeExpiry) => ({ daysBeforeExpiry }));
    const times = fc.tuple(
      fc.integer({ min: 0, max: 4_000_000_000 }),
      fc.integer({ min: 0, max: 4_000_000_000 }),
    );
    fc.assert(
      fc.property(fc.oneof(percentages, daysBefore), times, (trigger, [from, length]) => {
        const valid = { notBefore: from, expires: from + length };
        const { renewAt } = lifetimeDue(
          { lifetimeActions: [{ trigger, type: 'AutoRenew' }], issuer: { name: 'Self' } },
          valid,
        );
        expect(renewAt).toBeGreaterThanOrEqual(valid.notBefore);
        expect(renewAt).toBeLessThanOrEqual(valid.expires);
        expect(Number.isInteger(renewAt)).toBe(true);
      }),
    );
  });
});
