import { describe, expect, test } from 'vitest';
import { networkWords } from './vault.ts';

const rules = { defaultAction: 'Deny', bypass: 'None', ipRules: [] };
const closed = { publicNetworkAccess: 'Disabled', networkRules: rules, privateEndpoints: [] };
const subnet = '/subscriptions/s/virtualnetworks/v/subnets/s';

describe('who the network lets in', () => {
  test.each([
    ['closed to everyone', closed],
    ['closed to everyone', { ...closed, networkRules: { ...rules, ipRules: ['192.0.2.1'] } }],
    ['closed to everyone', { ...closed, publicNetworkAccess: 'Enabled' }],
    ['open to private endpoint ours; to no one else', { ...closed, privateEndpoints: ['ours'] }],
    [
      'open to trusted services; to no one else',
      { ...closed, networkRules: { ...rules, bypass: 'AzureServices' } },
    ],
    [
      `open to 192.0.2.0/24, ${subnet}, private endpoint ours; to no one else`,
      {
        publicNetworkAccess: 'Enabled',
        networkRules: { ...rules, ipRules: ['192.0.2.0/24'], virtualNetworkRules: [{ id: subnet }] },
        privateEndpoints: ['ours'],
      },
    ],
    [
      'open to every address',
      {
        publicNetworkAccess: 'Enabled',
        networkRules: { ...rules, defaultAction: 'Allow' },
        privateEndpoints: [],
      },
    ],
  ])('%s', (words, vault) => {
    expect(networkWords(vault)).toBe(words);
  });
});
