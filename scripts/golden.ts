/** Writes anew what is made from the code: the golden files, and pages of the documentation. Look at what changed. */
import { writeFileSync } from 'node:fs';
import { algorithmMatrix, algorithmsPage } from '../test/support/algorithm-matrix.ts';
import {
  goldenManagementRoles,
  goldenRoles,
  managementMatrix,
  roleMatrix,
} from '../test/support/role-matrix.ts';

writeFileSync(goldenRoles, roleMatrix());
writeFileSync(goldenManagementRoles, managementMatrix());
writeFileSync(algorithmsPage, algorithmMatrix());
console.log('wrote test/golden/roles.txt, test/golden/management-roles.txt, docs/algorithms.md');
