"""Sets of samples measured or kept: uploads, jobs, their progress and what is answered of them."""
