/** Where an unfinished restore keeps its notes, in the target. */
export const MARKER_SCHEMA = "sparekeep_restore";
