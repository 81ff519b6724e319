/** Proves every limit of rotation policies at its edge, that policies survive writing and reading, and when things are due. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import { parseDuration, secondsPerDay } from './durations.ts';
import {
  type CurrentVersion,
  expiresUnder,
  type LifecycleMarks,
  type LifetimeAction,
  lifecycleDue,
  lifetimeActions,
  nearExpiryAt,
  nextDue,
  parseRotationPolicy,
  poolRotationLimits,
  type RotationLimits,
  type RotationPolicy,
  type RotationPolicyInput,
  readRotationPolicy,
  rotationDue,
  StoredPolicyDamaged,
  storeRotationPolicy,
  vaultRotationLimits,
} from './rotation-policy.ts';

/** Fixed, so that a failure is the same everywhere. */
const seed = 7;
const now = 1_800_000_000;
const days = (count: number) => count * secondsPerDay;
const unix = (iso: string) => Date.parse(iso) / 1000;

const rotateAfter = (time: string): LifetimeAction => ({
  trigger: { timeAfterCreate: time },
  action: { type: 'Rotate' },
});
const rotateBefore = (time: string): LifetimeAction => ({
  trigger: { timeBeforeExpiry: time },
  action: { type: 'Rotate' },
});
const notifyBefore = (time: string): LifetimeAction => ({
  trigger: { timeBeforeExpiry: time },
  action: { type: 'Notify' },
});
const input = (expiryTime?: string, ...actions: LifetimeAction[]): RotationPolicyInput => ({
  lifetimeActions: actions,
  expiryTime,
});

function parse(
  asked: RotationPolicyInput,
  context: { limits?: RotationLimits; was?: RotationPolicy; now?: number } = {},
): RotationPolicy {
  return parseRotationPolicy(asked, { limits: vaultRotationLimits, was: undefined, now, ...context });
}

/** The second line of the refusal; fails the test if there is none, or of another kind. */
function refusal(asked: RotationPolicyInput, limits = vaultRotationLimits): string {
  try {
    parse(asked, { limits });
  } catch (error) {
    if (!isFailure(error, 'badParameter')) throw error;
    const [first, second, ...more] = error.message.split('\r\n');
    expect(first).toMatch(/^Property (lifetimeActions|attributes) has invalid value$/);
    expect(more).toEqual([]);
    return second ?? '';
  }
  throw new Error('it was accepted');
}

/** What the API shows of a policy, apart from times. */
function shown(policy: RotationPolicy, limits = vaultRotationLimits): RotationPolicyInput {
  return { lifetimeActions: lifetimeActions(limits, policy), expiryTime: policy.expiry?.text };
}

function version(of: Partial<CurrentVersion> & { created: number }): CurrentVersion {
  return { version: '0f', expires: undefined, enabled: true, ...of };
}

describe('what is recorded of Azure', () => {
  it.each([
    [
      'Rotate before expiry alone, in small letters, comes back with the default Notify',
      input('P90D', { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'rotate' } }),
      input('P90D', rotateBefore('P30D'), notifyBefore('P30D')),
    ],
    [
      'Rotate after creation likewise',
      input('P90D', { trigger: { timeAfterCreate: 'P30D' }, action: { type: 'rotate' } }),
      input('P90D', rotateAfter('P30D'), notifyBefore('P30D')),
    ],
    [
      'both, with a Notify at its limit',
      input('P30D', rotateAfter('P15D'), notifyBefore('P7D')),
      input('P30D', rotateAfter('P15D'), notifyBefore('P7D')),
    ],
    [
      'the example of the documentation, with a null trigger',
      input(
        'P2Y',
        { trigger: { timeAfterCreate: 'P18M', timeBeforeExpiry: null }, action: { type: 'Rotate' } },
        notifyBefore('P30D'),
      ),
      input('P2Y', rotateAfter('P18M'), notifyBefore('P30D')),
    ],
    [
      'that of the resource template, with an empty one',
      input('P2Y', {
        trigger: { timeAfterCreate: 'P18M', timeBeforeExpiry: '' },
        action: { type: 'Rotate' },
      }),
      input('P2Y', rotateAfter('P18M'), notifyBefore('P30D')),
    ],
    [
      'no expiry: Rotate after creation needs none',
      input(undefined, rotateAfter('P2M')),
      input(undefined, rotateAfter('P2M'), notifyBefore('P30D')),
    ],
    ['Notify alone', input('P90D', notifyBefore('P60D')), input('P90D', notifyBefore('P60D'))],
    [
      'Notify before Rotate comes back after it',
      input('P90D', notifyBefore('P29D'), rotateBefore('P30D')),
      input('P90D', rotateBefore('P30D'), notifyBefore('P29D')),
    ],
  ])('%s', (_, asked, answer) => {
    expect(shown(parse(asked))).toEqual(answer);
  });

  it('shows Notify 30 days before expiry for a policy that was never set, and nothing for a pool', () => {
    expect(lifetimeActions(vaultRotationLimits, undefined)).toEqual([notifyBefore('P30D')]);
    expect(lifetimeActions(poolRotationLimits, undefined)).toEqual([]);
  });

  it('gives rotated versions the expiry that they were given there', () => {
    const rotated = 1_680_041_253;
    expect(expiresUnder(parse(input('P90D', rotateAfter('P30D'))), rotated)).toBe(1_687_817_253);
    expect(expiresUnder(parse(input('P30D', rotateAfter('P15D'))), 1_699_275_450)).toBe(1_701_867_450);
    expect(expiresUnder(parse(input(undefined, rotateAfter('P30D'))), rotated)).toBeUndefined();
    expect(expiresUnder(undefined, rotated)).toBeUndefined();
  });
});

describe('an update', () => {
  const was = parse(input('P90D', rotateAfter('P30D'), notifyBefore('P10D')), { now: now - 500 });

  it('keeps the time of creation and nothing else', () => {
    expect(was).toMatchObject({ created: now - 500, updated: now - 500 });
    const reset = {
      rotate: undefined,
      notifyBeforeExpiry: parseDuration('P30D'),
      expiry: undefined,
      created: now - 500,
      updated: now,
    };
    const nothing: RotationPolicyInput[] = [
      { lifetimeActions: undefined, expiryTime: undefined },
      { lifetimeActions: null, expiryTime: null },
      { lifetimeActions: [], expiryTime: '' },
    ];
    for (const empty of nothing) expect(parse(empty, { was })).toEqual(reset);
  });

  it('replaces the list of actions as a whole', () => {
    expect(shown(parse(input('P90D', notifyBefore('P20D')), { was }))).toEqual(
      input('P90D', notifyBefore('P20D')),
    );
    expect(shown(parse(input('P60D'), { was }))).toEqual(input('P60D', notifyBefore('P30D')));
  });

  it('takes back whatever a policy shows, set or not', () => {
    const unset = { lifetimeActions: lifetimeActions(vaultRotationLimits, undefined), expiryTime: undefined };
    const texts = [
      unset,
      input('P28D'),
      input('P30D', rotateAfter('P15D')),
      input(undefined, rotateAfter('P7D')),
    ];
    for (const asked of texts) {
      const policy = parse(asked, { was });
      expect(parse(shown(policy), { was: policy })).toEqual(policy);
    }
  });
});

describe('limits of a vault', () => {
  it.each([
    ['expiry of 28 days', input('P28D')],
    ['expiry of 28 days in hours', input('PT672H')],
    ['expiry of four weeks', input('P4W')],
    ['expiry of a month', input('P1M')],
    ['expiry of a hundred years', input('P100Y')],
    ['Rotate 7 days after creation', input(undefined, rotateAfter('P7D'))],
    ['Rotate 7 days after creation in hours', input('P28D', rotateAfter('PT168H'))],
    ['Rotate after creation, 7 days before expiry', input('P28D', rotateAfter('P21D'))],
    ['the same in months', input('P1M', rotateAfter('P23D'))],
    ['the same in years', input('P372D', rotateAfter('P12M'))],
    ['Rotate 7 days before expiry', input('P28D', rotateBefore('P7D'))],
    ['Rotate before expiry, 7 days after creation', input('P28D', rotateBefore('P21D'))],
    ['Notify 7 days before expiry', input('P28D', notifyBefore('P7D'))],
    ['Notify 7 days after creation', input('P28D', notifyBefore('P21D'))],
    ['the default Notify, whatever the expiry', input('P28D', notifyBefore('P30D'))],
    ['the default Notify without an expiry', input(undefined, notifyBefore('P30D'))],
    ['Notify later than Rotate', input('P90D', rotateBefore('P60D'), notifyBefore('P10D'))],
  ])('%s: accepted', (_, asked) => {
    const { lifetimeActions: given, expiryTime } = shown(parse(asked));
    expect(given).toEqual(expect.arrayContaining([...(asked.lifetimeActions ?? [])]));
    expect(expiryTime).toBe(asked.expiryTime);
  });

  const least = (what: string, count: number, when: string) =>
    `${what} must be at least ${count} days ${when}.`;
  it.each([
    ['P27D', 'expiryTime must be at least 28 days.'],
    ['P27DT23H59M59S', 'expiryTime must be at least 28 days.'],
    ['PT671H', 'expiryTime must be at least 28 days.'],
    ['P3W', 'expiryTime must be at least 28 days.'],
    ['P0D', 'expiryTime must be at least 28 days.'],
    ['P101Y', 'expiryTime must be an ISO 8601 duration'],
    ['90', 'expiryTime must be an ISO 8601 duration'],
    ['P-90D', 'expiryTime must be an ISO 8601 duration'],
  ])('expiryTime %s: refused', (expiryTime, words) => {
    expect(refusal(input(expiryTime))).toContain(words);
  });

  it.each([
    [
      'Rotate 6 days after creation',
      input(undefined, rotateAfter('P6D')),
      least('Rotate', 7, 'after creation'),
    ],
    [
      'Rotate a second early',
      input(undefined, rotateAfter('P6DT23H59M59S')),
      least('Rotate', 7, 'after creation'),
    ],
    ['Rotate 6 days before expiry', input('P28D', rotateBefore('P6D')), least('Rotate', 7, 'before expiry')],
    [
      'Rotate after creation, 6 before expiry',
      input('P28D', rotateAfter('P22D')),
      least('Rotate', 7, 'before expiry'),
    ],
    ['the same by a second', input('P28D', rotateAfter('P21DT1S')), least('Rotate', 7, 'before expiry')],
    ['the same in months', input('P1M', rotateAfter('P24D')), least('Rotate', 7, 'before expiry')],
    ['the same in years', input('P371D', rotateAfter('P12M')), least('Rotate', 7, 'before expiry')],
    ['Rotate after the expiry', input('P28D', rotateAfter('P90D')), least('Rotate', 7, 'before expiry')],
    [
      'Rotate before expiry, 6 after creation',
      input('P28D', rotateBefore('P22D')),
      least('Rotate', 7, 'after creation'),
    ],
    ['Rotate before creation', input('P28D', rotateBefore('P90D')), least('Rotate', 7, 'after creation')],
    ['Notify 6 days before expiry', input('P28D', notifyBefore('P6D')), least('Notify', 7, 'before expiry')],
    [
      'Notify 6 days after creation',
      input('P28D', notifyBefore('P22D')),
      least('Notify', 7, 'after creation'),
    ],
    [
      'Rotate without expiry',
      input(undefined, rotateBefore('P30D')),
      'Rotate by timeBeforeExpiry needs an expiryTime.',
    ],
    [
      'Notify without expiry',
      input(undefined, notifyBefore('P29D')),
      'Notify by timeBeforeExpiry needs an expiryTime.',
    ],
  ])('%s: refused', (_, asked, words) => {
    expect(refusal(asked)).toBe(words);
  });
});

describe('the shape of actions', () => {
  const one = 'There can be one Rotate and one Notify.';
  const types = 'The type of an action is Rotate or Notify.';
  const trigger = 'An action has one trigger, timeAfterCreate or timeBeforeExpiry.';
  const time = { timeAfterCreate: 'P30D' };
  it.each<[string, LifetimeAction[], string]>([
    ['two Rotates', [rotateAfter('P30D'), rotateAfter('P30D')], one],
    ['Rotate and rotate', [rotateAfter('P30D'), { trigger: time, action: { type: 'rotate' } }], one],
    ['two Notifies', [notifyBefore('P30D'), notifyBefore('P29D')], one],
    ['three actions', [rotateAfter('P30D'), notifyBefore('P30D'), notifyBefore('P30D')], one],
    ['another type', [{ trigger: time, action: { type: 'Delete' } }], types],
    ['a type of the prototype', [{ trigger: time, action: { type: 'constructor' } }], types],
    ['a type with a blank', [{ trigger: time, action: { type: 'Rotate ' } }], types],
    ['no type', [{ trigger: time, action: {} }], types],
    ['an empty type', [{ trigger: time, action: { type: '' } }], types],
    ['a null type', [{ trigger: time, action: { type: null } }], types],
    ['no action', [{ trigger: time }], types],
    ['a null action', [{ trigger: time, action: null }], types],
    ['a good one and one without type', [rotateAfter('P30D'), { trigger: time }], types],
    ['no trigger', [{ action: { type: 'Rotate' } }], trigger],
    ['a null trigger', [{ trigger: null, action: { type: 'Notify' } }], trigger],
    ['an empty trigger', [{ trigger: {}, action: { type: 'Rotate' } }], trigger],
    [
      'empty times',
      [{ trigger: { timeAfterCreate: '', timeBeforeExpiry: null }, action: { type: 'Rotate' } }],
      trigger,
    ],
    [
      'two triggers',
      [{ trigger: { timeAfterCreate: 'P30D', timeBeforeExpiry: 'P30D' }, action: { type: 'Rotate' } }],
      trigger,
    ],
    [
      'Notify after creation',
      [{ trigger: time, action: { type: 'Notify' } }],
      'timeAfterCreate is for Rotate only.',
    ],
  ])('%s: refused', (_, actions, words) => {
    expect(refusal(input('P90D', ...actions))).toBe(words);
  });

  it.each(['P', '30', 'P30d', 'P30D ', '-P30D', 'P1.5M', 'P200Y', `P${'0'.repeat(60)}30D`])(
    'the time %j: refused, without being repeated',
    (text) => {
      for (const action of [rotateAfter(text), rotateBefore(text), notifyBefore(text)]) {
        const words = refusal(input('P90D', action));
        expect(words).toMatch(/^time(AfterCreate|BeforeExpiry) must be an ISO 8601 duration/);
        if (text.length > 5) expect(words).not.toContain(text);
      }
    },
  );
});

describe('limits of a pool', () => {
  const limits = poolRotationLimits;
  it.each([
    ['nothing', input()],
    ['expiry of 28 days', input('P28D')],
    ['Rotate 28 days after creation', input(undefined, rotateAfter('P28D'))],
    ['28 days before an expiry of 56', input('P56D', rotateBefore('P28D'))],
    ['a day before expiry', input('P56D', rotateBefore('P1D'))],
    ['the example of the documentation', input('P2Y', rotateAfter('P18M'))],
  ])('%s: accepted, and no Notify is added', (_, asked) => {
    expect(shown(parse(asked, { limits }), limits)).toEqual(asked);
  });

  it.each([
    ['expiry of 27 days', input('P27D'), 'expiryTime must be at least 28 days.'],
    [
      '27 days after creation',
      input(undefined, rotateAfter('P27D')),
      'Rotate must be at least 28 days after creation.',
    ],
    [
      '29 days before an expiry of 56',
      input('P56D', rotateBefore('P29D')),
      'Rotate must be at least 28 days after creation.',
    ],
    ['Notify', input('P90D', notifyBefore('P30D')), 'Notify is not supported here.'],
    [
      'Rotate without expiry',
      input(undefined, rotateBefore('P30D')),
      'Rotate by timeBeforeExpiry needs an expiryTime.',
    ],
  ])('%s: refused', (_, asked, words) => {
    expect(refusal(asked, limits)).toBe(words);
  });
});

const anyLimits = fc.constantFrom(vaultRotationLimits, poolRotationLimits);
const anyTime = fc
  .tuple(fc.nat(130), fc.constantFrom('D', 'W', 'M', 'Y', 'T'))
  .map(([count, unit]) => (unit === 'T' ? `PT${count * 24}H` : `P${count}${unit}`));
const anyInput = fc.record({
  expiryTime: fc.option(anyTime, { nil: undefined }),
  lifetimeActions: fc
    .tuple(fc.constantFrom('none', 'after', 'before'), anyTime, fc.option(anyTime, { nil: undefined }))
    .map(([rotate, time, notify]) => [
      ...(rotate === 'after' ? [rotateAfter(time)] : []),
      ...(rotate === 'before' ? [rotateBefore(time)] : []),
      ...(notify === undefined ? [] : [notifyBefore(notify)]),
    ]),
});
/** Policies that are accepted, with what was asked. */
const anyPolicy = fc
  .tuple(anyLimits, anyInput)
  .map(([limits, asked]) => {
    try {
      return { limits, asked, policy: parse(asked, { limits }) };
    } catch (error) {
      if (isFailure(error, 'badParameter')) return undefined;
      throw error;
    }
  })
  .filter((parsed) => parsed !== undefined);
const anyMoment = fc.integer({ min: 0, max: unix('2200-01-01T00:00:00Z') });

describe('writing and reading', () => {
  it('gives back what was asked, and the default Notify', () => {
    fc.assert(
      fc.property(anyPolicy, ({ limits, asked, policy }) => {
        const answer = shown(policy, limits);
        expect(answer.expiryTime).toBe(asked.expiryTime);
        const notified = asked.lifetimeActions.some(({ action }) => action?.type === 'Notify');
        const added = notified || limits.defaultNotify === undefined ? [] : [notifyBefore('P30D')];
        expect(answer.lifetimeActions).toEqual([...asked.lifetimeActions, ...added]);
        expect(parse(answer, { limits, was: policy })).toEqual(policy);
      }),
      { seed, numRuns: 500 },
    );
  });

  it('survives storage as JSON', () => {
    fc.assert(
      fc.property(anyPolicy, fc.nat(), ({ policy }, age) => {
        const aged = { ...policy, created: policy.created - age };
        const json: unknown = JSON.parse(JSON.stringify(storeRotationPolicy(aged)));
        expect(readRotationPolicy(json)).toEqual(aged);
      }),
      { seed, numRuns: 500 },
    );
  });

  it('reads policies that today’s limits would refuse, and ignores members of later releases', () => {
    const json = { rotateAfterCreate: 'P1D', created: 1, updated: 2, later: true };
    expect(readRotationPolicy(json)).toEqual({
      rotate: { afterCreate: parseDuration('P1D') },
      notifyBeforeExpiry: undefined,
      expiry: undefined,
      created: 1,
      updated: 2,
    });
  });

  it.each([
    null,
    undefined,
    'P90D',
    [],
    {},
    { created: 1 },
    { created: '1', updated: 2 },
    { created: 1, updated: 2, expiry: 90 },
    { created: 1, updated: 2, expiry: '90 days' },
    { created: 1, updated: 2, rotateAfterCreate: '' },
    { created: 1, updated: 2, rotateAfterCreate: 'P30D', rotateBeforeExpiry: 'P30D' },
  ])('is refused when damaged: %j', (json) => {
    expect(() => readRotationPolicy(json)).toThrow(StoredPolicyDamaged);
  });
});

describe('when a key is due', () => {
  const created = unix('2026-01-31T12:00:00Z');
  const expires = unix('2026-12-31T12:00:00Z');

  it('is rotated by the calendar after its creation, with or without an expiry', () => {
    const policy = parse(input(undefined, rotateAfter('P1M')));
    const due = unix('2026-02-28T12:00:00Z');
    expect(rotationDue(policy, version({ created }))).toBe(due);
    expect(rotationDue(policy, version({ created, expires }))).toBe(due);
  });

  it('is rotated before its own expiry, not before that of the policy', () => {
    const policy = parse(input('P1Y', rotateBefore('P10M')));
    expect(rotationDue(policy, version({ created, expires }))).toBe(unix('2026-02-28T12:00:00Z'));
    expect(rotationDue(policy, version({ created }))).toBeUndefined();
  });

  it('is not rotated without such a policy', () => {
    expect(rotationDue(undefined, version({ created, expires }))).toBeUndefined();
    expect(rotationDue(parse(input('P90D')), version({ created, expires }))).toBeUndefined();
  });

  it('is not rotated while its current version is disabled', () => {
    for (const action of [rotateAfter('P30D'), rotateBefore('P30D')]) {
      const policy = parse(input('P90D', action));
      expect(rotationDue(policy, version({ created, expires, enabled: false }))).toBeUndefined();
      expect(rotationDue(policy, version({ created, expires }))).toBeDefined();
    }
  });

  it('is left alone for seven days, or until its expiry, by Rotate before expiry', () => {
    const policy = parse(input('P90D', rotateBefore('P30D')));
    const due = (lives: number) =>
      rotationDue(policy, version({ created, expires: created + lives })) ?? Number.NaN;
    expect(due(days(38)) - created).toBe(days(8));
    expect(due(days(37)) - created).toBe(days(7));
    expect(due(days(36)) - created).toBe(days(7));
    expect(due(days(8)) - created).toBe(days(7));
    expect(due(days(3)) - created).toBe(days(3));
    expect(due(-days(3)) - created).toBe(-days(3));
  });

  it('is near its expiry 30 days before, or when Notify says', () => {
    const near = (policy: RotationPolicy | undefined) => nearExpiryAt(policy, version({ created, expires }));
    expect(near(undefined)).toBe(unix('2026-12-01T12:00:00Z'));
    expect(near(parse(input('P90D')))).toBe(unix('2026-12-01T12:00:00Z'));
    expect(near(parse(input('P90D', notifyBefore('P10D'))))).toBe(unix('2026-12-21T12:00:00Z'));
    expect(near(parse(input('P1Y', notifyBefore('P1M'))))).toBe(unix('2026-11-30T12:00:00Z'));
    expect(nearExpiryAt(undefined, version({ created }))).toBeUndefined();
  });

  it('is near its expiry from its creation when it lives no longer, and never after its expiry', () => {
    const near = (lives: number) => nearExpiryAt(undefined, version({ created, expires: created + lives }));
    expect(near(days(31))).toBe(created + days(1));
    expect(near(days(30))).toBe(created);
    expect(near(days(5))).toBe(created);
    expect(near(0)).toBe(created);
    expect(near(-days(1))).toBe(created - days(1));
  });

  it('is, under its own policy, near its expiry and due before it expires', () => {
    fc.assert(
      fc.property(anyPolicy, anyMoment, ({ limits, policy }, at) => {
        const current = version({ created: at, expires: expiresUnder(policy, at) });
        const near = nearExpiryAt(policy, current);
        const due = rotationDue(policy, current);
        if (current.expires === undefined) {
          expect(near).toBeUndefined();
        } else {
          expect(near).toBeGreaterThanOrEqual(at);
          expect(near).toBeLessThanOrEqual(current.expires);
          // Both may be long by 7 days and a day for each leap year where they are in months.
          const drift = policy.rotate?.afterCreate === undefined ? 0 : driftOf(policy.rotate.afterCreate);
          const latest = current.expires - limits.leastBeforeExpiry + drift + driftOf(policy.expiry);
          if (due !== undefined) expect(due).toBeLessThanOrEqual(latest);
        }
        if (due !== undefined) expect(due).toBeGreaterThanOrEqual(at + days(7));
      }),
      { seed, numRuns: 2000 },
    );
  });

  const driftOf = (duration: { months: number } | undefined) =>
    duration === undefined || duration.months === 0 ? 0 : days(7 + Math.ceil(duration.months / 48));

  it('is never rotated again within seven days, however its months turn out', () => {
    // By 30-day months and 365-day years there are 7 days between creation and rotation; by the calendar there are none.
    for (const [expiry, before] of [
      ['P36142D', 'P99Y'],
      ['P337D', 'P11M'],
    ] as const) {
      const policy = parse(input(expiry, rotateBefore(before)));
      for (let month = 0; month < 48; month++) {
        const made = Date.UTC(2026, month, 1) / 1000;
        const due = rotationDue(policy, version({ created: made, expires: expiresUnder(policy, made) }));
        expect(due).toBeGreaterThanOrEqual(made + days(7));
      }
    }
  });
});

describe('what jobs have to do', () => {
  const created = unix('2026-01-01T00:00:00Z');
  const policy = parse(input('P90D', rotateAfter('P60D'), notifyBefore('P10D')));
  const current = version({ created, expires: expiresUnder(policy, created) });
  const rotate = created + days(60);
  const nearExpiry = created + days(80);
  const expired = created + days(90);
  const marks = (of: Partial<LifecycleMarks>): LifecycleMarks => ({
    version: current.version,
    nearExpiry: false,
    expired: false,
    ...of,
  });
  const due = (state: { marks?: LifecycleMarks; policy?: RotationPolicy; version?: CurrentVersion }) =>
    lifecycleDue(vaultRotationLimits, { policy, version: current, marks: undefined, ...state });
  const next = (state: { marks?: LifecycleMarks; version?: CurrentVersion }) =>
    nextDue(vaultRotationLimits, { policy, version: current, marks: undefined, ...state });

  it('is to rotate, to announce that the expiry is near, and to announce it, each at its time', () => {
    expect(due({})).toEqual({ rotate, nearExpiry, expired });
    expect(due({ marks: marks({}) })).toEqual({ rotate, nearExpiry, expired });
    expect(next({})).toBe(rotate);
  });

  it('goes on with what is not marked', () => {
    const off = { ...current, enabled: false };
    expect(next({ version: off })).toBe(nearExpiry);
    expect(next({ version: off, marks: marks({ nearExpiry: true }) })).toBe(expired);
    expect(next({ version: off, marks: marks({ nearExpiry: true, expired: true }) })).toBeUndefined();
    expect(due({ marks: marks({ nearExpiry: true }) })).toEqual({ rotate, nearExpiry: undefined, expired });
  });

  it('does not announce that an expiry is near once it is over', () => {
    expect(due({ marks: marks({ expired: true }) })).toEqual({
      rotate,
      nearExpiry: undefined,
      expired: undefined,
    });
  });

  it('does not count marks of another version', () => {
    const other = marks({ version: '0e', nearExpiry: true, expired: true });
    expect(due({ marks: other })).toEqual({ rotate, nearExpiry, expired });
  });

  it('has nothing to do with a key that has neither policy nor expiry', () => {
    const state = { policy: undefined, version: version({ created }), marks: undefined };
    expect(nextDue(vaultRotationLimits, state)).toBeUndefined();
    expect(lifecycleDue(vaultRotationLimits, state)).toEqual({
      rotate: undefined,
      nearExpiry: undefined,
      expired: undefined,
    });
  });

  it('announces the expiry of a key without a policy', () => {
    const state = { policy: undefined, version: current, marks: undefined };
    expect(lifecycleDue(vaultRotationLimits, state)).toEqual({
      rotate: undefined,
      nearExpiry: rotate,
      expired,
    });
  });

  it('only rotates in pools, which have no events', () => {
    const pool = parse(input('P90D', rotateAfter('P60D')), { limits: poolRotationLimits });
    expect(lifecycleDue(poolRotationLimits, { policy: pool, version: current, marks: undefined })).toEqual({
      rotate,
      nearExpiry: undefined,
      expired: undefined,
    });
  });
});
