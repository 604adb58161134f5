select at, boot_id, monotonic_s from record_time
