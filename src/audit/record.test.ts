import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isoSevenDecimals } from '../core/clock.ts';
import { type AuditEntry, createRecordFormatter } from './record.ts';
import { redactUri } from './redact-uri.ts';
import { testEntry } from './test-support.ts';

const wellFormed = fc.string({ unit: 'binary', maxLength: 30 });
const shared = createRecordFormatter();

/** As the log completes it. The same from a formatter that remembers other entries as from a new one. */
function formatRecord(entry: AuditEntry, sequence: number): string {
  const record = shared.format(entry);
  expect(createRecordFormatter().format(entry)).toBe(record);
  return `${record},"seq":${sequence}}`;
}

/** Any UTF-16 at all, lone surrogates too. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
  .map((units) => String.fromCharCode(...units));

test('a success, in the field order of Azure', () => {
  expect(formatRecord(testEntry(), 42)).toBe(
    '{"time":"2026-01-02T03:04:05.6780000Z"' +
      ',"resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/DEFAULT/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/DEV"' +
      ',"operationName":"SecretGet","operationVersion":"7.4","category":"AuditEvent"' +
      ',"resultType":"Success","resultSignature":"OK","resultDescription":"","durationMs":"3"' +
      ',"callerIpAddress":"127.0.0.1","correlationId":"11111111-2222-3333-4444-555555555555"' +
      ',"identity":{"claim":{"http://schemas.microsoft.com/identity/claims/objectidentifier":"aaaaaaaa-0000-0000-0000-000000000001"' +
      ',"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"ada@example.com"' +
      ',"appid":"cccccccc-0000-0000-0000-000000000003"' +
      ',"http://schemas.microsoft.com/identity/claims/tenantid":"bbbbbbbb-0000-0000-0000-000000000002"}}' +
      ',"properties":{"clientInfo":"azsdk-js/1.0","requestUri":"https://dev.vault.azure.net/secrets/s1?api-version=7.4"' +
      ',"id":"https://dev.vault.azure.net/secrets/s1/0123456789abcdef0123456789abcdef","httpStatusCode":200},"seq":42}',
  );
});

test('a refusal without a principal', () => {
  const failure = { code: 'SecretNotFound', description: 'A secret with (name/id) s1 was not found.' };
  const text = formatRecord(testEntry({ status: 404, failure, principal: undefined, id: undefined }), 7);
  expect(JSON.parse(text)).toMatchObject({
    resultType: 'SecretNotFound',
    resultSignature: 'Not Found',
    resultDescription: failure.description,
    identity: { claim: {} },
    seq: 7,
  });
  expect(JSON.parse(text).properties).not.toHaveProperty('id');
});

test('a refusal without a code is never called a success', () => {
  expect(JSON.parse(formatRecord(testEntry({ status: 404 }), 1)).resultType).toBe('NotFound');
});

test.each([Number.NaN, 99.5, 599])('the status %s is still valid JSON', (status) => {
  expect(() => JSON.parse(formatRecord(testEntry({ status }), 1))).not.toThrow();
});

test('any text comes back from JSON as it was', () => {
  fc.assert(
    fc.property(fc.oneof(wellFormed, anyText), anyText, (text, other) => {
      const line = formatRecord(
        testEntry({
          userAgent: text,
          correlationId: other,
          operationVersion: text,
          id: other,
          failure: { code: other, description: text },
        }),
        1,
      );
      const record = JSON.parse(line);
      expect(record.properties.clientInfo).toBe(text);
      expect(record.correlationId).toBe(other);
      expect(record.operationVersion).toBe(text);
      expect(record.properties.id).toBe(other);
      expect(record.resultType).toBe(other);
      expect(record.resultDescription).toBe(text);
      // One line, the same in UTF-8, with nothing that a terminal or a line reader acts on.
      expect(line.isWellFormed()).toBe(true);
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
    }),
  );
});

test('what a formatter remembers never ends up in another record', () => {
  const one = testEntry().principal;
  const principals = [one, one && { ...one, objectId: 'other' }, undefined];
  const entry = fc.record({
    // Back and forth over the second, before 1970 too.
    time: fc.integer({ min: -3000, max: 3000 }),
    resourceId: fc.nat(600).map((n) => `/vaults/v${n}`),
    userAgent: fc.nat(600).map((n) => `agent "${n}"`),
    principal: fc.constantFrom(...principals),
  });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 20 }), (entries) => {
      for (const overrides of entries) {
        const record = JSON.parse(formatRecord(testEntry(overrides), 1));
        expect(record.time).toBe(isoSevenDecimals(overrides.time));
        expect(record.resourceId).toBe(overrides.resourceId.toUpperCase());
        expect(record.properties.clientInfo).toBe(overrides.userAgent);
        expect(Object.values(record.identity.claim)[0]).toBe(overrides.principal?.objectId);
      }
    }),
  );
});

test('the URI of a record is redacted, however plain it looks', () => {
  const part = fc.constantFrom(
    '?',
    '&',
    ';',
    '=',
    '#',
    '@',
    '/',
    '%',
    'api-version',
    'api-version=7.4',
    'sig',
    'x',
    '"',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const requestUri = `https://host/${parts.join('')}`;
      const record = JSON.parse(formatRecord(testEntry({ requestUri }), 1));
      expect(record.properties.requestUri).toBe(redactUri(requestUri));
    }),
  );
});

test('a caller cannot add members', () => {
  const userAgent = '","seq":1,"mac":"0"}\n{"time":"';
  const line = formatRecord(testEntry({ userAgent }), 5);
  expect(line).not.toContain('\n');
  expect(JSON.parse(line)).toMatchObject({ seq: 5, properties: { clientInfo: userAgent } });
  expect(JSON.parse(line)).not.toHaveProperty('mac');
});

test('fields are bounded, and a cut shows', () => {
  const huge = '\u0000'.repeat(100_000);
  const line = formatRecord(
    testEntry({
      resourceId: huge,
      operationVersion: huge,
      failure: { code: huge, description: huge },
      callerIpAddress: huge,
      correlationId: huge,
      userAgent: huge,
      requestUri: huge,
      id: huge,
    }),
    1,
  );
  expect(line.length).toBeLessThan(64_000);
  const record = JSON.parse(line);
  expect(record.properties.clientInfo).toHaveLength(512);
  expect(record.properties.requestUri).toHaveLength(2048);
  expect(record.correlationId).toHaveLength(128);
  expect(record.correlationId.endsWith('…')).toBe(true);
});

test.each([
  ['/secrets/s?api-version=7.4&maxresults=5', '/secrets/s?api-version=7.4&maxresults=5'],
  ['/secrets/s?API%2Dversion=7.4&%24TOP=1', '/secrets/s?API%2Dversion=7.4&%24TOP=1'],
  ['/token?client_secret=hunter2&client_id=a', '/token?client_secret=REDACTED&client_id=a'],
  ['/x?code=hunter2&code=hunter3', '/x?code=REDACTED&code=REDACTED'],
  ['/x?api%252Dversion=hunter2', '/x?api%252Dversion=REDACTED'],
  ['/x?api%ZZversion=hunter2', '/x?api%ZZversion=REDACTED'],
  ['/x?api-version=7.4;password=hunter2', '/x?api-version=7.4;password=REDACTED'],
  ['/x?hunter2', '/x?REDACTED'],
  ['/x?&&=hunter2&', '/x?&&=REDACTED&'],
  ['/x?a=b=hunter2?c', '/x?a=REDACTED'],
  ['/x?scope=a#hunter2', '/x?scope=a'],
  ['/x#hunter2?api-version=7.4', '/x'],
  ['https://user:hunter2@host/x?api-version=1', 'https://host/x?api-version=1'],
  ['https://user:p@hunter2@host', 'https://host'],
  ['https:user:hunter2@host', 'host'],
  ['https:/user:hunter2@host/x', 'https:/host/x'],
  ['\\\\user:hunter2@host\\x', '\\\\host\\x'],
  ['user:hunter2@host:443', 'host:443'],
  ['/secrets/a@b', '/secrets/a@b'],
  ['https://host/a@b', 'https://host/a@b'],
  ['', ''],
])('redacts %s', (uri, expected) => {
  expect(redactUri(uri)).toBe(expected);
});

test('no value of an unknown name survives, whatever is around it', () => {
  const noise = fc.string({ unit: fc.constantFrom('a', '&', '=', ';', '?', '%', '2', '6', '@', '/') });
  const name = fc.constantFrom('password', 'code', 'sig', '', 'api-version2', 'SCOPE2');
  fc.assert(
    fc.property(noise, name, noise, (before, unknown, after) => {
      const redacted = redactUri(`/x?${before}&${unknown}=hunter_${after}`);
      expect(redacted).not.toContain('hunter_');
      expect(redactUri(redacted)).toBe(redacted);
    }),
  );
});
