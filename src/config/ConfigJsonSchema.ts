/** The config's Schema for editors: completion and checks while `skein.yaml` is being written. */
import { JSONSchema } from "effect"
import { NodeConfig } from "./NodeConfig.ts"

/** Text of `skein.schema.json`, newline at the end. */
export const configJsonSchema = (): string =>
  `${JSON.stringify({ title: "Skein node", ...JSONSchema.make(NodeConfig) }, undefined, 2)}\n`
