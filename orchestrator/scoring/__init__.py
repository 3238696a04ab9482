"""What somebody's systems recognised, scored and compared: from files, without a campaign."""
