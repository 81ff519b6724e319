import { describe, expect, it } from 'vitest';
import { isSameAudience } from './audiences.ts';

describe('audiences', () => {
  it.each([
    ['https://vault.azure.net', 'https://vault.azure.net'],
    ['https://vault.azure.net/', 'https://vault.azure.net'],
    ['HTTPS://Vault.Azure.NET', 'https://vault.azure.net/'],
    ['CFA8B339-82A2-471A-A3C9-0FC0BE7A4093', 'cfa8b339-82a2-471a-a3c9-0fc0be7a4093'],
  ])('%s is the same as %s', (a, b) => {
    expect(isSameAudience(a, b)).toBe(true);
  });

  it.each([
    ['https://vault.azure.net//', 'https://vault.azure.net'],
    ['https://vault.azure.net:8443', 'https://vault.azure.net'],
    ['https://vault.azure.net@evil.example', 'https://vault.azure.net'],
    ['https://vault.azure.net.evil.example', 'https://vault.azure.net'],
    ['http://vault.azure.net', 'https://vault.azure.net'],
    ['https://vault.azure.net/Path', 'https://vault.azure.net/path'],
    ['https://vault.azure.net\n', 'https://vault.azure.net'],
    ['', 'https://vault.azure.net'],
    ['api://App', 'api://app2'],
  ])('%j is another than %s', (a, b) => {
    expect(isSameAudience(a, b)).toBe(false);
  });
});
