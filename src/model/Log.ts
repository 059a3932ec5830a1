/** How plain code tells the operator something: whoever puts it together says where it goes. */

export type LogLevel = "debug" | "info" | "warning" | "error"

/** `fields` stand beside the message, not in it. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, string | number | undefined>>
) => void
