/** Writes the golden files anew from the code. Look at what changed before you commit it. */
import { writeFileSync } from 'node:fs';
import { goldenRoles, roleMatrix } from '../test/support/role-matrix.ts';

writeFileSync(goldenRoles, roleMatrix());
console.log('wrote test/golden/roles.txt');
