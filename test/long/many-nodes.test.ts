/** Fifty nodes on one host, which is more than any host is for. */
import { manyNodes } from "../fixtures/ManyNodes.ts"

manyNodes({ nodes: 50, restarts: 49, pause: 10_000 })
