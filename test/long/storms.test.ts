/** Fifty nodes on one host: pushed twenty times, in all the ways that once ended in a storm. */
import { storms } from "../fixtures/Storms.ts"

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

storms({
  nodes: number("SKEIN_STORM_NODES", 50),
  rounds: number("SKEIN_STORM_ROUNDS", 20),
  seed: number("SEED", Math.floor(Math.random() * 1e9))
})
