/** As many nodes as the test command has time for; `npm run test:long` has fifty. */
import { manyNodes } from "../fixtures/ManyNodes.ts"

manyNodes({ nodes: 8, restarts: 4, pause: 3_000 })
